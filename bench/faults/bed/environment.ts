import type { StackEnvironment } from '../../../stack/environment.ts'
import type { Bed } from '../contract.ts'

export interface BedRoute {
  readonly kafka: 'kafka' | 'cluster'
  /** Whether it leads through the passages. */
  readonly through: boolean
}

/** The servers of a bed, all three started, as the platform reads them from its environment. */
export async function bedEnvironment(bed: Bed, { kafka, through }: BedRoute): Promise<StackEnvironment> {
  const [nodes, postgres, temporal] = await Promise.all([bed[kafka](), bed.postgres(), bed.temporal()])
  return {
    KAFKA_BROKERS: through ? nodes.brokersThroughPassages : nodes.brokers,
    DATABASE_URL: through ? postgres.appUrlThroughPassage : postgres.appUrl,
    // Whoever makes and drops databases is not under test.
    DATABASE_ADMIN_URL: postgres.adminUrl,
    TEMPORAL_ADDRESS: through ? temporal.addressThroughPassage : temporal.address,
    TEMPORAL_UI_URL: '',
  }
}
