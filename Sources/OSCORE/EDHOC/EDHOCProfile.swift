/// What an endpoint is ready for (RFC 9528, 3.9, the application profile), and its limits.
public struct EDHOCProfile: Hashable, Sendable {
  /// Methods that a Responder accepts.
  public var methods: [EDHOCMethod]
  /// Cipher suites, most preferred first. Only implemented ones are ever selected; an Initiator may name others that it
  /// would prefer.
  public var suites: [EDHOCCipherSuite]
  /// Whether message_4 is sent and awaited. Without it the first protected message of the application confirms the key.
  public var usesMessage4: Bool
  /// Labels of external authorization data that the application can process; any other critical one is refused.
  public var understoodEAD: Set<UInt64>
  /// Bytes that a received message may have.
  public var maximumMessageLength: Int

  public init(
    methods: [EDHOCMethod] = [.staticDH], suites: [EDHOCCipherSuite] = [.suite2, .suite3],
    usesMessage4: Bool = false, understoodEAD: Set<UInt64> = [], maximumMessageLength: Int = 2048
  ) {
    self.methods = methods
    self.suites = suites
    self.usesMessage4 = usesMessage4
    self.understoodEAD = understoodEAD
    self.maximumMessageLength = maximumMessageLength
  }
}
