import Wire

/// What each attack achieves against each kind of traffic on each way: one table, which the tests walk and
/// Docs/THREATS.md prints.
///
/// A cell is a class of protection, a direction, a path and an attack. Every combination is in ``cells``: executed, with what
/// each hop answers to the attacked message when it gets it, or not applicable, with the reason.
public enum AttackMatrix {
  /// What protection the sender's or the node's traffic needs.
  public enum Protection: String, CaseIterable, Sendable {
    case noConsequence = "no-consequence"
    case authOnly = "auth-only"
    case confidential
    case stream
  }

  public enum Direction: String, CaseIterable, Sendable {
    /// From a node to its readers.
    case up
    /// From a commander to a node.
    case down

    /// The hops that judge a message, in the order in which it comes to them.
    public var hops: [Hop] { self == .up ? [.gateway, .relay, .reader] : [.relay, .gateway, .node] }
  }

  public enum Hop: String, Sendable { case gateway, relay, reader, node }

  /// How a node's messages are protected on the way to or from it.
  public enum Path: String, CaseIterable, Sendable {
    /// Plain CoAP on the radio; the gateway signs.
    case plain
    /// The node signs, and seals, its envelopes itself.
    case nodeSigned = "node-signed"
    /// OSCORE between node and gateway, which vouches.
    case vouched = "vouched over OSCORE"
    /// OSCORE between node and endpoint.
    case endToEnd = "OSCORE end to end"
  }

  public enum Attack: String, CaseIterable, Sendable {
    case none = "none"
    case forge
    case replay
    case reorder
    case stripEncryption = "strip the encryption"
    case resignCiphertext = "re-sign another's ciphertext"
    case downgradeClass = "downgrade the class"
    case wrongRecipient = "wrong recipient"
    case expired
    case revokedSender = "revoked sender"
    case revokedGateway = "revoked gateway"
    case staleEpoch = "stale epoch"
    case shortAddressCollision = "fp8 collision"
    case malleatedSignature = "malleated signature"
    case nonceReuse = "nonce reuse after a crash"
    case gatewayCompromised = "gateway compromised"
    case relayCompromised = "relay compromised"
  }

  /// What a hop answers.
  public enum Verdict: Hashable, Sendable {
    /// Takes it as genuine and new.
    case accepts
    /// Acknowledges it as known; it has no effect.
    case repeats
    case refuses(DropReason)
    /// Takes it, and keeps it until the node has agreed on keys.
    case holds
    /// It does not get there, or the hop is the attacker.
    case unreached
  }

  public enum Expectation: Hashable, Sendable {
    /// What each of the direction's hops answers when it gets the attacked message, and what is gained by that.
    case executed([Verdict], gain: String)
    case notApplicable(String)
  }

  /// One way that messages go.
  public struct Channel: Hashable, Sendable {
    public var protection: Protection
    public var direction: Direction
    public var path: Path

    public init(_ protection: Protection, _ direction: Direction, _ path: Path) {
      self.protection = protection
      self.direction = direction
      self.path = path
    }

    public static let all: [Channel] = Direction.allCases.flatMap { direction in
      Path.allCases.flatMap { path in Protection.allCases.map { Channel($0, direction, path) } }
    }
  }

  public struct Cell: Hashable, Sendable {
    public var channel: Channel
    public var attack: Attack
    public var expectation: Expectation
  }

  /// All of them: each channel's, in the order of ``Attack``.
  public static let cells: [Cell] = Channel.all.flatMap { channel in
    Attack.allCases.map { Cell(channel: channel, attack: $0, expectation: expectation(of: channel, $0)) }
  }

  static func expectation(of channel: Channel, _ attack: Attack) -> Expectation {
    switch (channel.path, channel.direction) {
    case (.plain, .up): plainUp(channel.protection, attack)
    case (.plain, .down): plainDown(channel.protection, attack)
    case (.nodeSigned, .up): signedUp(channel.protection, attack)
    case (.nodeSigned, .down): signedDown(channel.protection, attack)
    case (.vouched, .up): vouchedUp(channel.protection, attack)
    case (.vouched, .down): vouchedDown(channel.protection, attack)
    case (.endToEnd, .up): endToEndUp(channel.protection, attack)
    case (.endToEnd, .down): endToEndDown(channel.protection, attack)
    }
  }

  // MARK: How the rows are written

  static let nothing = "nothing"
  static let notSealed = Expectation.notApplicable("nothing is sealed")
  static let weakest = Expectation.notApplicable("no class is weaker")

  static func all(_ verdict: Verdict, _ gain: String = nothing) -> Expectation {
    .executed([verdict, verdict, verdict], gain: gain)
  }

  static func refused(_ reason: DropReason, _ gain: String = nothing) -> Expectation { all(.refuses(reason), gain) }

  static func hops(_ first: Verdict, _ second: Verdict, _ third: Verdict, _ gain: String = nothing) -> Expectation {
    .executed([first, second, third], gain: gain)
  }
}
