function main(given) {
  const films = JSON.parse(given);
  let votes = 0;
  for (const film of films) {
    const v = film["IMDB Votes"];
    if (v !== null) votes = votes + v;
  }
  const again = JSON.stringify(films);
  return films.length + " " + votes + " " + JSON.parse(again).length;
}
