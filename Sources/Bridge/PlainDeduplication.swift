import CoAP
import Crypto
import Queue
import Wire

/// How a plain request that was sent again is told, also after the gateway was killed and started again.
///
/// A plain reading has no sequence number, and the envelope made of it has a new one each time. What makes it the same
/// reading is the CoAP message that brought it: addresses, message ID, token and content, within EXCHANGE_LIFETIME
/// (RFC 7252, 4.8.2: 247 s with default parameters). A request under OSCORE that is sent again after a challenge, or under
/// new keys, comes in another CoAP message: what the node has said under a Request-Tag (RFC 9175, 3) is told by that. The record is written in the transaction that takes custody. Its
/// key begins with the time, in steps of 256 s, so that the oldest are pruned first.
struct PlainDeduplication {
  let digest: Bytes32
  private let step: UInt64
  private let tail: UInt64

  init(_ request: NodeRequest, now: Instant) {
    var hash = SHA256()
    if request.provenBy != nil, let tag = request.request.requestTag {
      hash.update(data: [1] + tag)
    } else {
      hash.update(data: request.fingerprint)
    }
    hash.update(data: [request.request.code.rawValue])
    hash.update(data: request.request.payload)
    let bytes = [UInt8](hash.finalize())
    digest = Bytes32(bytes) ?? .zero
    tail = bytes.prefix(4).reduce(0) { $0 << 8 | UInt64($1) }
    step = UInt64(max(0, now.seconds)) >> 8
  }

  private func key(_ node: Bytes32, step: UInt64) -> ReplayKey {
    ReplayKey(.plain, sender: node, seq: step << 32 | tail)
  }

  /// Whether the request was taken before.
  func isKnown(_ node: Bytes32, in store: some MailboxStore) throws(StoreError) -> Bool {
    for step in [step, step == 0 ? 0 : step - 1] {
      if try store.digest(of: key(node, step: step)) == digest { return true }
    }
    return false
  }

  /// Remembers it; `keeping` records of the node are kept.
  func record(_ node: Bytes32, in store: some MailboxStore, keeping: Int) throws(StoreError) {
    let key = key(node, step: step)
    // Two requests of one node whose digests agree in 32 bits within one step: the first one keeps the place.
    guard try store.digest(of: key) == nil else { return }
    try store.record(digest, for: key)
    if try store.replayWindow(.plain, of: node).count > keeping + keeping / 4 {
      try store.pruneReplay(.plain, of: node, keeping: keeping)
    }
  }
}
