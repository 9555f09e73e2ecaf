// How search results are ranked: Sphinx's own figures; a title that has the query as it was typed comes first, and of
// equals a rule before a form before a code list.
var Scorer = {
  score: function (result) {
    var asked = (new URLSearchParams(window.location.search).get("q") || "").trim().toLowerCase();
    var named = result[1].toLowerCase().includes(asked) ? 10 : 0;
    var kind = { rules: 0.5, forms: 0.4, reports: 0.3 }[result[0].split("/")[0]] || 0;
    return result[4] + named + kind;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
