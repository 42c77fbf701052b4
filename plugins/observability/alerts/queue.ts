/** The queue of the background jobs of alerts, and its workers. */
export const ALERTS_QUEUE = '_alerts'
export const RAISE_WORKER = '_alerts/raise'
export const SEND_WORKER = '_alerts/send'
