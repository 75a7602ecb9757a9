/** Search attributes of replays and verifications; registered when a worker starts. Few, since SQL visibility has few slots per type. */
import { defineSearchAttributeKey } from '@temporalio/common'

export const replayTopic = defineSearchAttributeKey('ReplayTopic', 'KEYWORD')
export const replayTarget = defineSearchAttributeKey('ReplayTarget', 'KEYWORD')
export const replayStatus = defineSearchAttributeKey('ReplayStatus', 'KEYWORD')
/** Of verifications: `running`, then the verdict; of archives their status. */
export const verificationVerdict = defineSearchAttributeKey('VerificationVerdict', 'KEYWORD')

export const searchAttributes = [replayTopic, replayTarget, replayStatus, verificationVerdict]
