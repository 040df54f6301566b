/// Whether message_4 is sent (RFC 9528, 5.5). Without it the first protected message from the Responder confirms the keys.
public enum EDHOCMessage4Use: Sendable, Hashable {
  /// Never.
  case unused
  /// The keys are there before it, and either party may do without: a Responder whose clients differ.
  case optional
  /// The keys are not there before it.
  case required
}

/// What an endpoint is ready for (RFC 9528, 3.9, the application profile), and its limits.
public struct EDHOCProfile: Hashable, Sendable {
  /// Methods that a Responder accepts.
  public var methods: [EDHOCMethod]
  /// Cipher suites, most preferred first. Only implemented ones are ever selected; an Initiator may name others that it
  /// would prefer.
  public var suites: [EDHOCCipherSuite]
  /// Whether message_4 is sent and awaited.
  public var message4: EDHOCMessage4Use
  /// Labels of external authorization data that the application can process; any other critical one is refused.
  public var understoodEAD: Set<UInt64>
  /// Bytes that a received message may have.
  public var maximumMessageLength: Int

  public init(
    methods: [EDHOCMethod] = [.staticDH], suites: [EDHOCCipherSuite] = [.suite2, .suite3],
    message4: EDHOCMessage4Use = .unused, understoodEAD: Set<UInt64> = [], maximumMessageLength: Int = 2048
  ) {
    self.methods = methods
    self.suites = suites
    self.message4 = message4
    self.understoodEAD = understoodEAD
    self.maximumMessageLength = maximumMessageLength
  }
}
