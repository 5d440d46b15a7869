(() => {
  'use strict';
  const words = document.body.dataset;

  const ago = (seconds) => {
    if (seconds < 2) return words.now;
    for (const [text, unit, limit] of [[words.seconds, 1, 60], [words.minutes, 60, 3600], [words.hours, 3600, 86400]]) {
      if (seconds < limit) return text.replace('{}', Math.floor(seconds / unit));
    }
    return words.days.replace('{}', Math.floor(seconds / 86400));
  };
  const tellTimes = () => {
    for (const time of document.querySelectorAll('time[datetime]')) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.title = moment.toLocaleString();
      time.firstElementChild.textContent = ago((Date.now() - moment.getTime()) / 1000);
    }
  };
  tellTimes();
  setInterval(tellTimes, 10000);

  for (const button of document.querySelectorAll('[data-copy]')) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = button.dataset.copied;
    });
  }

  const list = document.getElementById('list');
  if (!list || !('live' in list.dataset) || !window.EventSource) return;

  // The list follows the stream: what it says is only that there is something to fetch.
  const DEBOUNCE_MS = 600;
  const MAX_PAUSE_MS = 15000;
  const RETRY_MS = 5000;
  const MAX_RETRY_MS = 60000;
  const ANSWER_MS = 20000;
  // The stream beats every 15 s. Nobody tells a browser that the process at its other end was killed.
  const SILENT_MS = 40000;
  const light = document.getElementById('live');
  const news = document.getElementById('news');
  let source = null;
  let heard = 0;
  let retry = RETRY_MS;
  let last = null;
  let timer = 0;
  let busy = false;
  let again = false;
  let pause = DEBOUNCE_MS;

  const shine = (on) => {
    light.hidden = false;
    light.classList.toggle('on', on);
    light.textContent = on ? light.dataset.live : light.dataset.off;
  };
  const refresh = () => {
    timer = timer || setTimeout(fetchList, pause);
  };
  const isRead = () => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && list.contains(selection.anchorNode);
  };
  const rowsOf = (node) => new Map(Array.from(node.querySelectorAll('tr[data-id]'), (row) => [row.dataset.id, row]));

  const swap = (text) => {
    const fresh = new DOMParser().parseFromString(text, 'text/html').body;
    const before = rowsOf(list);
    const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    list.replaceChildren(...document.adoptNode(fresh).childNodes);
    let count = 0;
    for (const [id, row] of rowsOf(list)) {
      if (!before.has(id)) {
        row.classList.add('fresh');
        count += 1;
      }
    }
    if (focused) {
      Array.from(list.querySelectorAll('a')).find((link) => link.getAttribute('href') === focused)?.focus();
    }
    tellTimes();
    if (count) news.textContent = news.dataset.news.replace('{}', count);
  };

  const fetchList = async () => {
    timer = 0;
    // Nobody looks, or somebody marks something: later.
    if (busy || document.hidden || isRead()) {
      again = true;
      return;
    }
    busy = true;
    let told = false;
    const began = performance.now();
    try {
      const address = new URL(location.href);
      address.searchParams.set('view', 'events');
      address.searchParams.set('part', 'list');
      const answer = await fetch(address, { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
      const text = await answer.text();
      if (answer.ok && text.startsWith('<!doctype')) {
        // Not the list but a page: somebody has signed out.
        source?.close();
        source = null;
        shine(false);
        news.textContent = news.dataset.out;
        news.className = 'note warn';
      } else if (answer.ok) {
        swap(text);
      }
      told = answer.ok;
    } catch {
      // No answer at all.
    }
    // A plugin that is busy is asked less often; one that does not answer at all is asked again soon.
    pause = told ? Math.min(Math.max(DEBOUNCE_MS, 5 * (performance.now() - began)), MAX_PAUSE_MS) : DEBOUNCE_MS;
    busy = false;
    if (!told) setTimeout(refresh, RETRY_MS);
  };
  setInterval(() => {
    if (again && !busy && !document.hidden && !isRead()) {
      again = false;
      refresh();
    }
  }, 1000);

  const connect = () => {
    source?.close();
    const mine = new EventSource('stream');
    source = mine;
    heard = Date.now();
    const on = (name, act) => {
      mine.addEventListener(name, (event) => {
        heard = Date.now();
        act(event);
      });
    };
    const catchUp = (event) => {
      const known = JSON.parse(event.data).last;
      if (known !== last) refresh();
      last = known;
    };
    on('hello', (event) => {
      retry = RETRY_MS;
      shine(true);
      catchUp(event);
    });
    on('beat', catchUp);
    on('event', (event) => {
      last = Number(event.lastEventId);
      refresh();
    });
    on('reset', refresh);
    mine.addEventListener('error', () => {
      shine(false);
      // After an answer that is no stream a browser does not come again by itself.
      if (mine !== source || mine.readyState !== EventSource.CLOSED) return;
      refresh();
      setTimeout(() => mine === source && connect(), retry);
      retry = Math.min(2 * retry, MAX_RETRY_MS);
    });
  };
  connect();
  setInterval(() => {
    if (!source || source.readyState === EventSource.CLOSED || Date.now() - heard < SILENT_MS) return;
    shine(false);
    connect();
  }, 1000);
  addEventListener('pagehide', () => source?.close());
  // A browser may keep the page, and show it again as it was left.
  addEventListener('pageshow', (event) => {
    if (event.persisted && source) connect();
  });
})();
