// How search results are ranked: Sphinx's own figures, and of equals a rule before a form before a code list.
var Scorer = {
  score: function (result) {
    var first = { rules: 0.5, forms: 0.4, reports: 0.3 }[result[0].split("/")[0]];
    return result[4] + (first || 0);
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
