public import CoAP
import Wire

/// The security contexts of an endpoint, one for each peer, found by the peer or by the kid of a request
/// (RFC 8613, 8.2, step 2).
///
/// Bounded in all, and in how many share a Recipient ID, since a request may have to be tried with each of those
/// (RFC 8613, 3.3). `Peer` is what the caller knows its peers by.
public struct OSCOREContextTable<Peer: Hashable & Sendable>: Sendable {
  /// Contexts that fit.
  public let capacity: Int
  /// Contexts that may share a Recipient ID.
  public let maximumSharing: Int

  private var contexts: [Peer: OSCORESecurityContext] = [:]
  private var peers: [OSCOREIdentifier: [Peer]] = [:]

  /// An empty table. Both limits are at least 1.
  public init(capacity: Int = 1024, maximumSharing: Int = 4) {
    self.capacity = max(1, capacity)
    self.maximumSharing = max(1, maximumSharing)
  }

  /// Contexts in the table.
  public var count: Int { contexts.count }

  /// A copy of the context of a peer, to look at: protect with ``withContext(of:_:)``.
  public subscript(peer: Peer) -> OSCORESecurityContext? { contexts[peer] }

  /// Whether a peer has this Recipient ID: one that none has makes the search short.
  public func contains(recipientID: OSCOREIdentifier) -> Bool { peers[recipientID] != nil }

  /// Adds the context of a peer, in the place of the one that it had. Exchanges of the old one end with it.
  ///
  /// Throws ``DropReason/oscoreContextLimit`` if there is no room, and then changes nothing.
  public mutating func insert(_ context: OSCORESecurityContext, for peer: Peer) throws(OSCOREError) {
    let old = contexts[peer]
    let sharing = peers[context.recipientID, default: []].count
    let staysShared = old?.recipientID == context.recipientID
    guard old != nil || contexts.count < capacity, staysShared || sharing < maximumSharing else {
      throw OSCOREError(.oscoreContextLimit)
    }
    remove(peer)
    contexts[peer] = context
    peers[context.recipientID, default: []].append(peer)
  }

  /// Removes the context of a peer.
  public mutating func remove(_ peer: Peer) {
    guard let context = contexts.removeValue(forKey: peer) else { return }
    let rest = peers[context.recipientID, default: []].filter { $0 != peer }
    peers[context.recipientID] = rest.isEmpty ? nil : rest
  }

  /// Runs `body` with the context of `peer` in its place, to protect and unprotect with it.
  ///
  /// `body` must not assign another context: use ``insert(_:for:)``. Throws ``DropReason/oscoreContextUnknown`` if the peer
  /// has none, and what `body` throws.
  public mutating func withContext<Result>(
    of peer: Peer, _ body: (inout OSCORESecurityContext) throws(OSCOREError) -> Result
  ) throws(OSCOREError) -> Result {
    guard let index = contexts.index(forKey: peer) else { throw OSCOREError(.oscoreContextUnknown) }
    return try body(&contexts.values[index])
  }

  /// Verifies a request with each context that its kid and kid context may mean, and says whose it is.
  ///
  /// Only the context that verifies it changes. Throws the refusal, whose answer may be sent.
  public mutating func unprotectRequest(
    _ request: CoAPRequest
  ) throws(OSCORERefusal) -> (peer: Peer, outcome: OSCORERequestOutcome) {
    let header = try OSCORERequestHeader(request)
    var reason = DropReason.oscoreContextUnknown
    for peer in header.kid.flatMap({ peers[$0] }) ?? [] {
      guard let index = contexts.index(forKey: peer), contexts.values[index].matches(header) else { continue }
      do throws(OSCORERefusal) {
        return (peer, try contexts.values[index].unprotectRequest(request, header))
      } catch {
        // A failed decryption says least: it only means that the request is another peer's.
        if reason == .oscoreContextUnknown || error.reason != .oscoreDecryptionFailed { reason = error.reason }
      }
    }
    throw OSCORERefusal(reason)
  }
}
