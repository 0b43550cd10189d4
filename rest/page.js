/* SPDX-License-Identifier: MIT */
/* rest/page.js: what a page does beyond HTML: buttons that copy, and following what still changes
 * without a reload. Everything is there without it; then the page reloads itself. */
(() => {
	"use strict";
	const MIN_MS = 400, EVERY_MS = 2000;
	let events = null, timer = 0, last = 0, busy = false, news = false;

	function dress() {
		if (!navigator.clipboard) return;
		for (const pre of document.querySelectorAll(".copies > pre")) {
			const button = document.createElement("button");
			button.type = "button";
			button.textContent = "Copy";
			button.addEventListener("click", async () => {
				await navigator.clipboard.writeText(pre.textContent);
				button.textContent = "Copied";
				setTimeout(() => { button.textContent = "Copy"; }, 1500);
			});
			pre.after(button);
		}
	}
	function occupied(main) {
		const at = document.activeElement, chosen = getSelection();
		return (at && main.contains(at) && at.matches("input, select")) ||
			(chosen && !chosen.isCollapsed && main.contains(chosen.anchorNode));
	}
	function place(next) {
		const main = document.querySelector("main"), at = document.activeElement;
		const path = at && main.contains(at) ? at.id || at.getAttribute("href") : null;
		for (const open of main.querySelectorAll("details[id][open]"))
			next.querySelector("#" + CSS.escape(open.id))?.setAttribute("open", "");
		const heights = new Map([...main.querySelectorAll("pre[id]")].map(
			(p) => [p.id, p.scrollTop + p.clientHeight > p.scrollHeight - 4 ? Infinity : p.scrollTop]));
		if (next.dataset.said !== main.dataset.said)
			document.getElementById("said").textContent = next.dataset.said;
		main.replaceWith(next);
		for (const pre of next.querySelectorAll("pre[id]"))
			pre.scrollTop = Math.min(heights.get(pre.id) ?? Infinity, pre.scrollHeight);
		if (path)
			[...next.querySelectorAll("a, [id]")].find((e) => path === (e.id || e.getAttribute("href")))?.focus();
		dress();
	}
	async function refresh() {
		if (busy) return;
		if (document.hidden || occupied(document.querySelector("main"))) return again(EVERY_MS);
		busy = true;
		news = false;
		last = performance.now();
		try {
			const answer = await fetch(location.href, { cache: "no-store" });
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			if (page.querySelector("main") && answer.status < 500) {
				document.title = page.title;
				place(document.adoptNode(page.querySelector("main")));
				document.querySelector("footer").replaceWith(document.adoptNode(page.querySelector("footer")));
			}
		} catch { /* the service is away for a moment: tried again */ }
		busy = false;
		follow();
	}
	function again(ms) {
		clearTimeout(timer);
		timer = setTimeout(refresh, ms);
	}
	function follow() {
		const path = document.querySelector("main").dataset.events;
		if (!path) {
			clearTimeout(timer);
			events?.close();
			return;
		}
		if (!events) {
			events = new EventSource(path);
			events.addEventListener("state-changed", () => {
				news = true;
				again(Math.max(0, last + MIN_MS - performance.now()));
			});
		}
		again(news ? MIN_MS : EVERY_MS);
	}
	for (const pre of document.querySelectorAll("pre[id]")) pre.scrollTop = pre.scrollHeight;
	dress();
	follow();
})();
