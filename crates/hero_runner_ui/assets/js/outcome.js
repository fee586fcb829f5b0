// How a session ended, in the same words as everywhere in hero_runner.

/**
 * @param {{kind: string, code?: number, ok?: boolean, trap?: string, message?: string, signal?: number}|null} outcome
 * @returns {string}
 */
export function outcomeInWords(outcome) {
  switch (outcome?.kind) {
    case undefined:
      return 'running';
    case 'exited':
      return `exited with code ${outcome.code}`;
    case 'returned':
      return outcome.ok ? 'returned' : 'returned an error';
    case 'trapped':
      return `trapped (${outcome.trap}): ${outcome.message}`;
    case 'load_failed':
      return `the engine refused the module: ${outcome.message}`;
    case 'timed_out':
      return 'timed out';
    case 'not_ready':
      return 'was not ready in time';
    case 'memory_limit':
      return 'reached its memory limit';
    case 'killed':
      return `killed by signal ${outcome.signal}`;
    case 'worker_lost':
      return 'its worker was lost';
    case 'interrupted':
      return 'interrupted: the server died while it ran';
    default:
      return outcome.kind.replaceAll('_', ' ');
  }
}

/** Exit code 0, or a function that returned no error. */
export function isSuccess(outcome) {
  return (outcome?.kind === 'exited' && outcome.code === 0) || (outcome?.kind === 'returned' && outcome.ok === true);
}
