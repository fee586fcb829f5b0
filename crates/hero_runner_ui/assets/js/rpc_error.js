// Why a call failed, in the server's own words. Without the page, so that workers have it too.

/** What the server says about a call that failed. */
export class RpcError extends Error {
  /** @param {{message: string, code?: number, code_name?: string, hint?: string, status?: number}} what */
  constructor({ message, code, code_name: codeName, hint, status }) {
    super(message);
    this.name = 'RpcError';
    this.code = code;
    this.code_name = codeName;
    this.hint = hint;
    this.status = status;
  }
}

/**
 * A reply that is no success, as an error with the server's own reason.
 * @param {number} status
 * @param {string} body
 */
export function errorOf(status, body) {
  try {
    const parsed = JSON.parse(body);
    const error = parsed.error ?? parsed;
    if (typeof error.message === 'string') {
      return new RpcError({ message: error.message, code: error.code, status, ...error.data });
    }
  } catch {
    // A proxy's page, or nothing at all.
  }
  const away = status === 502 || status === 503 || status === 504;
  return new RpcError({
    message: away ? 'the server does not answer' : `the reply was ${status}`,
    code_name: away ? 'unavailable' : `http_${status}`,
    hint: away ? 'start it with `hero_runner --start`; this page goes on by itself' : undefined,
    status,
  });
}
