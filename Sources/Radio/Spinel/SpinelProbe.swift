import IEEE802154
import Wire

/// What a co-processor says of itself.
struct SpinelProbe: Sendable {
  var isComplete = false
  var name = ""
  var capabilities: Set<UInt32> = []
  var hardwareAddress: ExtendedAddress?
  var radio: SpinelRadioCapabilities = []
  /// `nil` if it does not say.
  var channels: [UInt8]?

  /// Protocol versions that this host speaks: 4.x.
  static let protocolMajor: UInt32 = 4
  /// INTERFACE_TYPE of Thread, which is that of every radio co-processor.
  static let interfaceType: UInt32 = 3
  /// The RCP API version that this host is written to.
  static let hostAPIVersion: UInt32 = 11
  /// The oldest RCP API version that has everything in the form that this host uses.
  static let minimumAPIVersion: UInt32 = 4
}

extension SpinelHost {
  /// Asks for everything that every co-processor has.
  mutating func beginProbe() {
    phase = .probing
    let properties: [SpinelProperty] = [.protocolVersion, .ncpVersion, .interfaceType, .capabilities]
    queue = properties.map { SpinelRequest(.get, $0, role: .probe) }
  }

  /// Takes an answer; what is not supported ends it all.
  mutating func probed(_ property: SpinelProperty, _ status: SpinelStatus, _ value: [UInt8]) throws(ParseError) {
    guard status == .ok else { return unanswerable(property, status) }
    switch property {
    case .protocolVersion:
      var reader = ByteReader(value.rawSpan)
      let version = try SpinelProtocolVersion(parsing: &reader)
      if version.major != SpinelProbe.protocolMajor {
        fail(notSupported("speaks spinel \(version), not \(SpinelProbe.protocolMajor).x"))
      }
    case .ncpVersion: probe.name = try SpinelText(parsing: value).printable
    case .interfaceType:
      let type = try SpinelNumber(parsing: value).value
      if type != SpinelProbe.interfaceType {
        fail(notSupported("has the interface type \(type) and is no radio for Thread"))
      }
    case .capabilities: try probedCapabilities(Set(SpinelCapabilities(parsing: value).values))
    case .rcpAPIVersion:
      let version = try SpinelNumber(parsing: value).value
      if version < SpinelProbe.minimumAPIVersion {
        fail(
          notSupported(
            "has the RCP API version \(version); \(SpinelProbe.minimumAPIVersion) is the oldest that is supported"))
      }
    case .rcpMinimumHostAPIVersion:
      let version = try SpinelNumber(parsing: value).value
      if version > SpinelProbe.hostAPIVersion {
        fail(
          notSupported(
            "demands a host of RCP API version \(version) or newer; this is \(SpinelProbe.hostAPIVersion)"))
      }
    case .hardwareAddress: probe.hardwareAddress = try? SpinelExtendedAddresses(parsing: value).addresses.first
    case .radioCapabilities: probe.radio = .init(rawValue: try SpinelNumber(parsing: value).value)
    case .phyChannelsSupported:
      probe.channels = value
      if !value.contains(settings.channel) { fail(channelRefused(value)) }
    default: break
    }
  }

  private mutating func probedCapabilities(_ capabilities: Set<UInt32>) {
    probe.capabilities = capabilities
    guard capabilities.contains(SpinelCapabilities.radio) else {
      let isNetworkProcessor = SpinelCapabilities.networkProcessor.contains(where: capabilities.contains)
      return fail(notSupported(isNetworkProcessor ? "has NCP firmware, not RCP firmware" : "is no radio co-processor"))
    }
    guard capabilities.contains(SpinelCapabilities.macRaw) else {
      return fail(notSupported("has firmware without the raw frame stream"))
    }
    if capabilities.contains(SpinelCapabilities.rcpAPIVersion) {
      queue.append(SpinelRequest(.get, .rcpAPIVersion, role: .probe))
    }
    if capabilities.contains(SpinelCapabilities.rcpMinimumHostAPIVersion) {
      queue.append(SpinelRequest(.get, .rcpMinimumHostAPIVersion, role: .probe))
    }
    let properties: [SpinelProperty] = [.hardwareAddress, .radioCapabilities, .phyChannelsSupported]
    queue += properties.map { SpinelRequest(.get, $0, role: .probe) }
  }

  /// A property that must be there and is not ends it; others may be missing.
  private mutating func unanswerable(_ property: SpinelProperty, _ status: SpinelStatus) {
    switch property {
    case .protocolVersion, .interfaceType, .capabilities, .rcpAPIVersion, .rcpMinimumHostAPIVersion:
      fail(notSupported("does not tell its \(property) (\(status))"))
    default: break
    }
  }

  /// What the co-processor can do as it is configured.
  var description: RadioDescription {
    var capabilities: RadioCapabilities = [.promiscuous, .reportsAcknowledgment]
    if !settings.isPromiscuous { capabilities.insert(.acknowledges) }
    if probe.radio.contains(.retransmissions) { capabilities.insert(.retransmits) }
    if hasSourceMatch, !settings.isPromiscuous { capabilities.insert(.sourceMatch) }
    if security != nil { capabilities.insert(.secures) }
    return RadioDescription(
      capabilities: capabilities, name: probe.name.isEmpty ? "radio co-processor" : probe.name,
      hardwareAddress: probe.hardwareAddress)
  }

  /// An answer that is none.
  mutating func nonsense(_ request: SpinelRequest, at now: Instant) {
    if case .probing = phase {
      fail(notSupported("does not tell its \(request.property) in a form that is known"))
    } else {
      recover("answers what makes no sense (\(request.property))", at: now)
    }
  }

  func notSupported(_ what: String) -> RadioError {
    RadioError(
      .notSupported, radio: radio, detail: (probe.name.isEmpty ? "it" : probe.name) + " " + what,
      remedy: "put current OpenThread RCP firmware (ot-rcp) on it")
  }

  private func channelRefused(_ channels: [UInt8]) -> RadioError {
    RadioError(
      .settingRefused, radio: radio, detail: "it has no channel \(settings.channel)",
      remedy: channels.isEmpty ? "" : "choose one of \(channels.map(String.init).joined(separator: ", "))")
  }
}
