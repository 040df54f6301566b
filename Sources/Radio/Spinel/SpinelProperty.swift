/// The number of a spinel property. Those that a host of a radio co-processor needs have names.
public struct SpinelProperty: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  private init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static let lastStatus = SpinelProperty(0x00)
  public static let protocolVersion = SpinelProperty(0x01)
  public static let ncpVersion = SpinelProperty(0x02)
  public static let interfaceType = SpinelProperty(0x03)
  public static let capabilities = SpinelProperty(0x05)
  public static let hardwareAddress = SpinelProperty(0x08)
  public static let phyEnabled = SpinelProperty(0x20)
  public static let phyChannel = SpinelProperty(0x21)
  public static let phyChannelsSupported = SpinelProperty(0x22)
  public static let phyTransmitPower = SpinelProperty(0x25)
  public static let macExtendedAddress = SpinelProperty(0x34)
  public static let macShortAddress = SpinelProperty(0x35)
  public static let macPANIdentifier = SpinelProperty(0x36)
  public static let macRawStreamEnabled = SpinelProperty(0x37)
  public static let macPromiscuousMode = SpinelProperty(0x38)
  public static let streamDebug = SpinelProperty(0x70)
  public static let streamRaw = SpinelProperty(0x71)
  public static let rcpAPIVersion = SpinelProperty(0xb0)
  public static let rcpMinimumHostAPIVersion = SpinelProperty(0xb1)
  public static let rcpMACKey = SpinelProperty(0x800)
  public static let rcpMACFrameCounter = SpinelProperty(0x801)
  public static let radioCapabilities = SpinelProperty(0x120b)
  public static let sourceMatchEnabled = SpinelProperty(0x1303)
  public static let sourceMatchShortAddresses = SpinelProperty(0x1304)
  public static let sourceMatchExtendedAddresses = SpinelProperty(0x1305)

  /// What people call it, or its number.
  public var description: String {
    switch self {
    case .lastStatus: "last status"
    case .protocolVersion: "protocol version"
    case .ncpVersion: "firmware version"
    case .interfaceType: "interface type"
    case .capabilities: "capabilities"
    case .hardwareAddress: "hardware address"
    case .phyEnabled: "PHY enabled"
    case .phyChannel: "channel"
    case .phyChannelsSupported: "supported channels"
    case .phyTransmitPower: "transmit power"
    case .macExtendedAddress: "extended address"
    case .macShortAddress: "short address"
    case .macPANIdentifier: "PAN identifier"
    case .macRawStreamEnabled: "raw stream"
    case .macPromiscuousMode: "promiscuous mode"
    case .streamDebug: "debug stream"
    case .streamRaw: "frame"
    case .rcpAPIVersion: "RCP API version"
    case .rcpMinimumHostAPIVersion: "least host API version"
    case .rcpMACKey: "MAC keys"
    case .rcpMACFrameCounter: "frame counter"
    case .radioCapabilities: "radio capabilities"
    case .sourceMatchEnabled: "source match"
    case .sourceMatchShortAddresses: "source match list of short addresses"
    case .sourceMatchExtendedAddresses: "source match list of extended addresses"
    default: "property 0x" + String(rawValue, radix: 16)
    }
  }
}

/// The value of LAST_STATUS: what became of a request, or why the co-processor was reset.
public struct SpinelStatus: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  private init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static let ok = SpinelStatus(0)
  public static let failure = SpinelStatus(1)
  public static let unimplemented = SpinelStatus(2)
  public static let invalidArgument = SpinelStatus(3)
  public static let invalidState = SpinelStatus(4)
  public static let parseError = SpinelStatus(9)
  public static let noMemory = SpinelStatus(11)
  public static let busy = SpinelStatus(12)
  public static let propertyNotFound = SpinelStatus(13)
  public static let noAcknowledgment = SpinelStatus(17)
  public static let ccaFailure = SpinelStatus(18)
  public static let resetPowerOn = SpinelStatus(112)

  /// The co-processor was reset (112 to 127).
  public var isReset: Bool { rawValue >= 112 && rawValue < 128 }
  /// The co-processor does not have what was asked for.
  var isUnknownProperty: Bool { self == .propertyNotFound || self == .unimplemented }

  public var description: String {
    switch self {
    case .ok: "ok"
    case .failure: "failure"
    case .unimplemented: "not implemented"
    case .invalidArgument: "invalid argument"
    case .invalidState: "invalid state"
    case .parseError: "parse error"
    case .noMemory: "no memory"
    case .busy: "busy"
    case .propertyNotFound: "property not found"
    case .noAcknowledgment: "no acknowledgment"
    case .ccaFailure: "channel access failure"
    default: isReset ? "reset \(rawValue)" : "status \(rawValue)"
    }
  }
}
