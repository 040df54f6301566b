import BorderRouter
import Bridge
import Foundation
import IEEE802154
import IPv6
import Radio
import SixLoWPAN
import Wire

/// `radio:` of a gateway's configuration.
struct RadioSection {
  var url: RadioURL?
  var extendedAddress: ExtendedAddress?
  var shortAddress: ShortAddress?
  var channel: UInt8?
  var page: UInt8 = 0
  var power: Int8?

  init() {}

  init(_ section: ConfigSection, channel: Int?) throws {
    do throws(RadioError) {
      if let text = try Self.text(section) { url = try RadioURL(text) }
    } catch {
      throw section.error("url", "is not usable: \(error.detail); \(error.remedy)")
    }
    extendedAddress = try section.value("eui64", "an EUI-64 of 16 hexadecimal digits") { ExtendedAddress($0) }
    shortAddress = try section.integer("short", in: 0...0xfffd).map { ShortAddress(UInt16($0)) }
    self.channel = channel.map { UInt8($0) }
    page = try section.integer("page", in: 0...31).map { UInt8($0) } ?? 0
    power = try section.integer("power", in: -128...127).map { Int8($0) }
    try section.finish()
  }

  private static func text(_ section: ConfigSection) throws(RadioError) -> String? {
    do { return try section.text("url") } catch {
      throw RadioError(.notSupported, radio: "", detail: "it must be one text", remedy: "write url: linux:wpan0")
    }
  }
}

/// `joining:` of a gateway's configuration: association with short addresses.
struct JoiningSection {
  var isPermitted = false
  var admitted: [ExtendedAddress] = []

  init() {}

  init(_ section: ConfigSection) throws {
    isPermitted = try section.boolean("permit") ?? false
    admitted = try section.texts("devices").map { text in
      guard let device = ExtendedAddress(text) else {
        throw section.error("devices", "must be a list of EUI-64s of 16 hexadecimal digits, not '\(text)'")
      }
      return device
    }
    try section.finish()
  }
}

/// What concerns the daemon and not the PAN: state, control socket, metrics, capture.
struct ServiceSection {
  struct Capture {
    var path: String
    var maximumBytes = 64 << 20
    var files = 2
  }

  var state: String?
  var control: String?
  var metricsPort: Int?
  var capture: Capture?
  var user: String?
  /// Between unsolicited router advertisements.
  var advertisementInterval: Duration = .seconds(600)

  init() {}

  init(_ root: ConfigSection) throws {
    state = try root.path("state")
    control = try root.path("control")
    metricsPort = try root.integer("metrics-port", in: 0...65_535)
    user = try root.text("user")
    if let section = try root.section("capture") {
      var capture = Capture(path: try section.requiredPath("file"))
      if let bytes = try section.integer("bytes", in: 65_536...(1 << 40)) { capture.maximumBytes = bytes }
      if let files = try section.integer("files", in: 2...100) { capture.files = files }
      self.capture = capture
      try section.finish()
    }
    if let seconds = try root.integer("advertisement-seconds", in: 4...1800) {
      advertisementInterval = .seconds(seconds)
    }
  }
}

extension GatewayConfiguration {
  /// Who the border router is on its PAN. `hardwareAddress` is what the radio says its EUI-64 is; `generated` draws or finds
  /// the prefix that is kept.
  func pan(hardwareAddress: ExtendedAddress?, generated: () throws -> IPv6Prefix? = { nil }) throws -> PANConfiguration
  {
    guard let extended = radio.extendedAddress ?? hardwareAddress else {
      throw Failure.cannotStart(
        "'radio.eui64' is missing, and the radio does not tell its own: write an EUI-64 of 16 hexadecimal digits, "
          + "for example \(Self.randomAddress())")
    }
    var pan = bounds
    pan.panID = panID
    pan.extendedAddress = extended
    pan.shortAddress = radio.shortAddress
    switch prefix {
    case .none: pan.prefix = nil
    case .generated: pan.prefix = try generated()
    case .given(let prefix): pan.prefix = prefix
    }
    for context in contexts {
      pan.contexts.set(context.identifier, prefix: context.prefix, compress: true, expires: nil)
    }
    if let security {
      // The auxiliary header with a key index, and the integrity code.
      pan.linkSecurityLength = 6 + security.level.micLength
      pan.requiresLinkSecurity = security.isRequired
    }
    return pan
  }

  /// A locally administered EUI-64.
  static func randomAddress() -> ExtendedAddress {
    ExtendedAddress(UInt64.random(in: 0...(.max)) & 0xfcff_ffff_ffff_ffff | 0x0200_0000_0000_0000)
  }

  /// What the radio is told to be.
  func settings(_ pan: PANConfiguration) -> RadioSettings {
    var settings = RadioSettings(
      channel: radio.channel ?? 11, panID: pan.panID, extendedAddress: pan.extendedAddress,
      shortAddress: pan.shortAddress)
    settings.page = radio.page
    settings.transmitPower = radio.power
    return settings
  }

  func mac(_ pan: PANConfiguration, capabilities: RadioCapabilities) -> MACConfiguration {
    MACConfiguration(radio: settings(pan), capabilities: capabilities, security: security)
  }
}
