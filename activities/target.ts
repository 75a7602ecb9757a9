/** The target of a plan while it is replayed. */
import type { ReplayPlan } from '../src/domain/replay.ts'
import { ServiceError } from '../src/errors.ts'
import type { TopicConfig, TopicDirectory } from '../src/ports.ts'

/** Configuration of the target. Throws TARGET_MISSING, TARGET_RECREATED. */
export async function requireTarget(topics: TopicDirectory, plan: ReplayPlan): Promise<TopicConfig> {
  const found = await topics.describe(plan.targetTopic)
  if (found === null)
    throw new ServiceError('TARGET_MISSING', `the topic ${plan.targetTopic} does not exist any more`)
  if (found.topicId !== plan.targetTopicId)
    throw new ServiceError('TARGET_RECREATED', `the topic ${plan.targetTopic} was deleted and made again`)
  return await topics.config(plan.targetTopic)
}
