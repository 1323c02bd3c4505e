// Talks to the control API. Knows nothing of the page.

async function send(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `the workspace answered ${response.status}`);
  return answer;
}

export const state = (user) => send("GET", `/control/state?user=${encodeURIComponent(user)}`);
export const act = (user, what, more = {}) => send("POST", "/control/act", { user, do: what, ...more });

export function onChange(callback) {
  const source = new EventSource("/control/events");
  source.onopen = callback;
  source.onmessage = callback;
}
