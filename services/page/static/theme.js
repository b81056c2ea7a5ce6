// Before anything is drawn: the theme that was chosen here before, so that the page does not flash.
const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;
