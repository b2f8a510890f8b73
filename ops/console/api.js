// The service's REST API. The token is kept for this tab alone, and goes nowhere but to the page's own origin.

const KEY = "osmv-token";

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export class ApiError extends Error {
  constructor(status, message, reference) {
    super(message);
    this.status = status;
    this.reference = reference;
    this.title = TITLES[status] ?? (status >= 500 ? "The service could not answer" : "That was refused");
  }
}

const TITLES = {
  0: "The service does not answer",
  401: "A token is needed",
  403: "Not allowed",
  404: "Not there",
  429: "Too much at once",
};

async function call(path, options) {
  const headers = { Accept: "application/json", ...options.headers };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "Is it still running, and is this machine connected to it?");
  }
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (response.ok && body !== null) return body;
  const said = body?.error ?? {};
  let message = said.message ?? `The answer was ${response.status} ${response.statusText}, and no JSON.`;
  const wait = response.headers.get("Retry-After");
  if (response.status === 429 && wait) message += ` Try again in ${wait} s.`;
  throw new ApiError(response.status, message, said.request_id ?? response.headers.get("X-Request-Id"));
}

export const get = (path, signal) => call(path, { method: "GET", signal });

export const post = (path, body, signal) =>
  call(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal });
