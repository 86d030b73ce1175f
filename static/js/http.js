// Requests to our own server: session cookie, CSRF header, problem+json turned into an Error with its fields.
export function csrfToken() {
  return document.querySelector("meta[name=csrf-token]")?.content || "";
}

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

async function answer(response) {
  const type = response.headers.get("content-type") || "";
  const body = type.includes("json") ? await response.json() : { detail: response.ok ? "" : `The server answered ${response.status}` };
  if (response.redirected && new URL(response.url).pathname.startsWith("/login")) throw new Problem(401, { detail: "You are signed out. Sign in again." });
  if (!response.ok) throw new Problem(response.status, body);
  return body;
}

export async function getJson(url, { timeout = 10000 } = {}) {
  return answer(await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin", signal: AbortSignal.timeout(timeout) }));
}

export async function postJson(url, body, { headers = {}, signal } = {}) {
  return answer(
    await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken(), ...headers },
      body: JSON.stringify(body),
      signal,
    }),
  );
}

export async function postForm(url, fields) {
  const response = await fetch(url, {
    method: "POST",
    credentials: "same-origin",
    headers: { "X-CSRFToken": csrfToken(), Accept: "application/json" },
    body: new URLSearchParams(fields),
  });
  return answer(response);
}
