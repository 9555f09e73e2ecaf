-- The deliveries in force on the snapshot date: whose, which form, of which date, what columns they lack.
select * from {{ input('delivery') }}
