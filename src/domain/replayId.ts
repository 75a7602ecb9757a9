/** Names of replays: the workflow `replay/<replayId>`. Free of Node's modules, since workflows import it. */

const WORKFLOW_PREFIX = 'replay/'

/** What people may call a replay: 1…200 letters, digits, dots, dashes, underscores and colons. */
const replayIdPattern = /^[A-Za-z0-9._:-]{1,200}$/

export const isReplayId = (text: string): boolean => replayIdPattern.test(text)

/** Workflow id of a replay; throws RangeError when the replay id is not one. */
export function workflowIdOfReplay(replayId: string): string {
  if (!isReplayId(replayId)) throw new RangeError('not a replay id')
  return WORKFLOW_PREFIX + replayId
}

/** Replay id of a workflow id; null for workflow ids that replays don't have. */
export function replayIdOfWorkflowId(workflowId: string): string | null {
  if (!workflowId.startsWith(WORKFLOW_PREFIX)) return null
  const replayId = workflowId.slice(WORKFLOW_PREFIX.length)
  return isReplayId(replayId) ? replayId : null
}

/** Where a replay goes when nobody says. */
export const defaultTargetTopic = (topic: string): string => `${topic}-replay`
