// What is new comes to the page by itself. Without this script every page is complete, and a reload brings the same.
(() => {
  "use strict";
  // On a narrow screen the ladder opens at the place of birth.
  for (const shade of document.querySelectorAll(".scroll .shade rect")) {
    const frame = shade.closest(".scroll");
    frame.scrollLeft = shade.getBBox().x + shade.getBBox().width / 2 - frame.clientWidth / 2;
  }
  const live = document.getElementById("live");
  const news = document.getElementById("news");
  if (!live || !live.dataset.watch || !window.EventSource) return;
  const PAUSE = 1000;
  const TURN = 5000;
  let waiting = 0;
  let busy = false;
  let timer = null;

  const say = (text) => {
    news.textContent = text;
    news.classList.toggle("hidden", !text);
  };

  // The same page again: filters and language are the server's business.
  const refresh = async () => {
    timer = null;
    if (busy) return later();
    busy = true;
    const came = waiting;
    waiting = 0;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      const now = document.getElementById("live");
      if (fresh && now) replace(now, fresh);
      if (came > 0) say(came === 1 ? news.dataset.one : news.dataset.many.replace("#", came));
      else if (news.textContent === news.dataset.lost) say("");
    } catch (_) {
      say(news.dataset.lost);
    }
    busy = false;
  };

  const replace = (now, fresh) => {
    const known = new Set([...now.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id));
    for (const row of fresh.querySelectorAll("tr[data-id]")) {
      if (!known.has(row.dataset.id)) row.classList.add("new");
    }
    const open = [...now.querySelectorAll("details")].map((one) => one.open);
    [...fresh.querySelectorAll("details")].forEach((one, index) => { one.open = open[index] === true; });
    const scrolled = [...now.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    // Whoever stands on a link by keyboard stays there.
    const focused = now.contains(document.activeElement) ? document.activeElement : null;
    const address = focused && (focused.id ? "#" + CSS.escape(focused.id) : focused.getAttribute("href") && `a[href="${CSS.escape(focused.getAttribute("href"))}"]`);
    now.replaceWith(fresh);
    [...fresh.querySelectorAll(".scroll")].forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
    if (address) fresh.querySelector(address)?.focus({ preventScroll: true });
  };

  const later = () => { if (timer === null) timer = setTimeout(refresh, PAUSE); };

  if (live.dataset.watch === "time") {
    setInterval(() => { if (!document.hidden) refresh(); }, TURN);
    return;
  }

  // A browser has six connections for one server, whatever the number of pages and of those that it remembers for
  // its back button: a page that is not looked at holds none.
  let events = null;
  const watch = () => {
    if (events !== null || document.hidden) return;
    events = new EventSource("/v1/watch");
    let broken = false;
    events.addEventListener("open", () => {
      document.documentElement.dataset.live = "yes";
      // What came in between is not told again.
      if (broken) { broken = false; later(); }
    });
    events.addEventListener("error", () => {
      broken = true;
      document.documentElement.dataset.live = "no";
      say(news.dataset.lost);
    });
    events.addEventListener("message", (event) => {
      if (live.dataset.watch === "reset") {
        let id = null;
        try { id = JSON.parse(event.data).id; } catch (_) { return; }
        if (id !== live.dataset.id) return;
      }
      waiting += 1;
      later();
    });
  };
  const rest = () => {
    if (events !== null) events.close();
    events = null;
  };
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", (event) => { if (event.persisted) { watch(); later(); } });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return rest();
    watch();
    later();
  });
  watch();
})();
