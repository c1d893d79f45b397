// htmx shows whatever the service answers; where no answer comes at all, this says so.
document.addEventListener("htmx:sendError", (event) => {
  const said = event.detail.elt.closest("li").querySelector(".said");
  said.replaceChildren(document.getElementById("unsent").content.cloneNode(true));
});
