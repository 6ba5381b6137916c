// The events of the daemon, for as long as the page is open: what is lost is asked for again, later each time.

const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 15;

/**
 * Listen to `url`. `heard` gets the name and the content of each event, `opened` is called with each new connection,
 * and `lost` each second with the seconds until the next try, 0 while one is made.
 */
export function listen(url, { heard, opened, lost, names }) {
  let wait = FIRST_WAIT_S;

  function connect() {
    const source = new EventSource(url);
    source.onopen = () => {
      wait = FIRST_WAIT_S;
      opened();
    };
    for (const name of names) source.addEventListener(name, (event) => heard(name, JSON.parse(event.data)));
    source.onerror = () => {
      source.close(); // its own way of trying again gives up for good when a proxy answers 502
      const seconds = wait;
      wait = Math.min(2 * wait, LONGEST_WAIT_S);
      count(seconds);
    };
  }

  function count(seconds) {
    lost(seconds);
    if (seconds === 0) connect();
    else setTimeout(count, 1000, seconds - 1);
  }

  connect();
}
