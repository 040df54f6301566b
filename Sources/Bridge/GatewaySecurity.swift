import COSE
import CoAP
import Crypto
import Envelope
import MemberSecurity
import OSCORE
import Queue
import Wire

// The hop between a node and its gateway: EDHOC (RFC 9528) with the credentials of the peer record, then OSCORE (RFC 8613).

extension Member {
  /// Whether a gateway may sign what the node says in plain: a confidential one is never spoken for, since whoever vouches
  /// has read it.
  var isVouchedFor: Bool { traits.contains(.vouched) && (`class` == .noConsequence || `class` == .authOnly) }

  /// Whether nothing counts for the node but what it has proven to say: the gateway's signature is all that others see of
  /// it, and it is of consequence.
  var mustProveItself: Bool { traits.contains(.vouched) && `class` != .noConsequence }
}

extension Gateway {
  /// Contexts are stored under this name and the address of the node.
  static var contextPrefix: String { "oscore." }

  static func roster(_ directory: PeerDirectory, host: Address) -> MemberRoster {
    MemberRoster(directory.record.members.filter { $0.roles.contains(.node) && $0.gateway == host })
  }

  /// What was kept of the nodes that are on the roster. What cannot be read is as if it were not there: the node then
  /// agrees on new keys.
  static func security(
    of identity: Identity, in store: Store, roster: MemberRoster, limits: MemberSecurityLimits,
    random: some RandomNumberGenerator & Sendable
  ) -> MemberContexts {
    var states: [(member: Address, state: OSCOREDurableState)] = []
    for (name, value) in (try? store.values(withPrefix: contextPrefix)) ?? [] {
      if let node = Address(hex: name.dropFirst(contextPrefix.count)), roster[node] != nil,
        let state = try? OSCOREDurableState(parsing: value)
      {
        states.append((node, state))
      } else {
        try? store.setValue(name, to: nil)
      }
    }
    return MemberContexts(identity: identity, limits: limits, restoring: states, random: random)
  }

  /// Writes the state of a context where a restart finds it.
  static func keep(in store: Store) -> MemberContexts.Keep {
    { member, state in
      let value = state.flatMap { try? $0.encoded() }
      guard state == nil || value != nil else { return false }
      return (try? store.setValue(contextPrefix + member.description, to: value)) != nil
    }
  }

  /// A new peer record is obeyed: who is not on it any more, or with another key-agreement key, has no keys, and who is not
  /// gets none.
  mutating func forgetRemovedNodes() {
    let before = roster.members
    roster = Self.roster(directory, host: identity.address)
    for node in before where roster[node.address]?.agreementKey.point != node.agreementKey.point {
      security.remove(node.address, keep: Self.keep(in: mailboxes.store))
    }
  }

  // MARK: Requests of nodes

  /// Answers a request of a node. What it may ask without having proven who it is depends on the peer record.
  public mutating func receive(_ request: NodeRequest, now: Instant) -> NodeAnswer {
    let keep = Self.keep(in: mailboxes.store)
    switch security.receive(request.request, from: roster, now: now, keep: keep) {
    case .unprotected: return answer(request, now: now)
    case .answered(let response, let reason):
      return NodeAnswer(response, reason.map { [.refused(refusal($0, request))] } ?? [])
    case .request(let inner, let member, let exchange):
      var proven = request
      proven.request = inner
      proven.provenBy = member
      var answer = answer(proven, now: now)
      announceLinkKey(to: member, in: &answer.response)
      do throws(OSCOREError) {
        answer.response = try security.protect(answer.response, to: member, in: exchange, keep: keep)
      } catch {
        // What was done stays done; the node asks again and is told then.
        refusals.count(error.reason)
        answer.events.append(.refused(refusal(error.reason, request)))
        answer.response = CoAPResponse(.serviceUnavailable)
      }
      return answer
    }
  }

  private func refusal(_ reason: DropReason, _ request: NodeRequest) -> Refusal {
    Refusal(
      reason: reason, radio: node(eui64: request.eui64)?.name, kind: .plain, size: request.request.payload.count)
  }

  /// Who says it: the node that has proven so, else the one whose radio address it is, if that is enough.
  ///
  /// Throws ``DropReason/nodeUnknown``, and ``DropReason/nodeUnproven`` for a radio address whose node has keys, or must
  /// have some: then the address proves nothing.
  func speaker(_ request: NodeRequest) throws(ParseError) -> Member {
    if let member = request.provenBy {
      guard let node = roster[member] else { throw ParseError(.nodeUnknown) }
      return node
    }
    guard let node = node(eui64: request.eui64) else { throw ParseError(.nodeUnknown) }
    guard !node.mustProveItself, !security.hasContext(with: node.address) else { throw ParseError(.nodeUnproven) }
    return node
  }

  // MARK: The key of the radio network

  private static func announcedKey(_ node: Address) -> String { "link-key." + node.description }

  /// `GET /key`: the link key as the peer record has it for this gateway, `[index, key]`. Only under OSCORE.
  mutating func linkKey(_ request: NodeRequest) -> NodeAnswer {
    guard let node = request.provenBy else { return refuse(.nodeUnproven, request) }
    guard let key = directory.member(identity.address)?.linkKey, let content = try? key.value.encoded() else {
      return NodeAnswer(CoAPResponse(.notFound))
    }
    // If this is lost, the node is told once more, which is harmless.
    try? mailboxes.store.setValue(Self.announcedKey(node), to: [key.index])
    var response = CoAPResponse(.content, contentFormat: .cbor, eTag: [key.index], payload: content)
    response.maxAge = 0
    return NodeAnswer(response)
  }

  /// A node that has not fetched the newest link key learns from whatever it is answered that there is one:
  /// `key=INDEX` in Location-Query.
  private func announceLinkKey(to node: Address, in response: inout CoAPResponse) {
    guard response.code.isSuccess, let key = directory.member(identity.address)?.linkKey,
      (try? mailboxes.store.value(Self.announcedKey(node))) != [key.index]
    else { return }
    response.locationQuery += ["key=\(key.index)"]
  }
}
