import BorderRouter
import Foundation
import IEEE802154
import IPv6
import Radio
import Testing

@testable import pangate

/// What a gateway's configuration says of radio, security, joining and the daemon.
@Suite struct GatewayConfigTests {
  private static let base = """
    pan: { id: 0xabcd, channel: 15 }
    identity: gateway.pem
    group: { oracle: oracle.pem, peer-record: record.cose }
    relay: { identity: relay.pem, access-list: list.cose }
    radio:
      eui64: 0270616e67000001
    """

  /// Runs `body` with the configuration whose lines 7 and on are `more`, as a file in a folder of its own.
  private func with<Result>(
    _ more: String, files: [String: String] = [:], base: String = Self.base, _ body: (String) throws -> Result
  ) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-config-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files { try Data(text.utf8).write(to: folder.appendingPathComponent(name)) }
    let file = folder.appendingPathComponent("gateway.yaml")
    try Data((base + "\n" + more + "\n").utf8).write(to: file)
    return try body(file.path)
  }

  private func load(_ more: String, files: [String: String] = [:]) throws -> GatewayConfiguration {
    try with(more, files: files) { try GatewayConfiguration.load($0) }
  }

  private static let keys = ["keys.txt": "# the key\n1:000102030405060708090a0b0c0d0e0f\n"]

  @Test("Without any of the keys there is a radio to be named, no security, and nobody joins")
  func defaults() throws {
    let configuration = try load("")
    #expect(configuration.radio.url == nil && configuration.radio.channel == 15 && configuration.radio.page == 0)
    #expect(configuration.radio.extendedAddress == ExtendedAddress(0x0270_616e_6700_0001))
    #expect(configuration.radio.shortAddress == nil && configuration.radio.power == nil)
    #expect(configuration.prefix == .none && configuration.security == nil && configuration.keys.isEmpty)
    #expect(!configuration.joining.isPermitted && configuration.joining.admitted.isEmpty)
    let service = configuration.service
    #expect(service.state == nil && service.control == nil && service.metricsPort == nil && service.capture == nil)
    #expect(service.advertisementInterval == .seconds(600) && service.user == nil)
  }

  @Test("Every key is read; paths are relative to the file")
  func all() throws {
    try with(
      """
        url: spinel:/dev/ttyACM0?baud=460800
        short: 0x0001
        page: 2
        power: -7
      prefix: generate
      keys: keys.txt
      security: { key-index: 1, level: enc-mic-64, required: false }
      joining:
        permit: true
        devices: [0270616e67000b01, "02:70:61:6e:67:00:0b:02"]
      state: state
      control: /run/pangate/control
      metrics-port: 9100
      user: pangate
      capture: { file: ring.pcapng, bytes: 65536, files: 3 }
      advertisement-seconds: 30
      """, files: Self.keys
    ) { file in
      let configuration = try GatewayConfiguration.load(file)
      #expect(configuration.radio.url?.target == .serial(path: "/dev/ttyACM0", baud: 460_800))
      #expect(configuration.radio.shortAddress == ShortAddress(1))
      #expect(configuration.radio.page == 2 && configuration.radio.power == -7)
      #expect(configuration.prefix == .generated)
      let security = try #require(configuration.security)
      #expect(security.key == .index(1) && security.level == .encMIC64 && !security.isRequired)
      #expect(configuration.joining.isPermitted)
      #expect(configuration.joining.admitted.map(\.value) == [0x0270_616e_6700_0b01, 0x0270_616e_6700_0b02])
      let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path
      let service = configuration.service
      #expect(service.state == folder + "/state" && service.control == "/run/pangate/control")
      #expect(service.metricsPort == 9100 && service.user == "pangate")
      #expect(service.capture?.path == folder + "/ring.pcapng")
      #expect(service.capture?.maximumBytes == 65_536 && service.capture?.files == 3)
      #expect(service.advertisementInterval == .seconds(30))

      let pan = try configuration.pan(hardwareAddress: nil) { IPv6Prefix("fd00:7::/64") }
      #expect(pan.prefix?.description == "fd00:7::/64" && !pan.requiresLinkSecurity)
      #expect(pan.linkSecurityLength == 6 + 8)
      let settings = configuration.settings(pan)
      #expect(settings.channel == 15 && settings.page == 2 && settings.transmitPower == -7)
    }
  }

  @Test(
    "An error names the file, the line and the key",
    arguments: [
      ("  url: wpan0", 7, "radio.url"), ("  url: zep://", 7, "radio.url"), ("  url: 'linux:'", 7, "radio.url"),
      ("  url: spinel:ttyACM0", 7, "radio.url"), ("  url: zep://127.0.0.1:65536", 7, "radio.url"),
      ("  url: [a, b]", 7, "radio.url"), ("  short: 0xfffe", 7, "radio.short"), ("  page: 32", 7, "radio.page"),
      ("  power: 128", 7, "radio.power"), ("  speed: 1", 7, "radio.speed"),
      ("security: { key-index: 1 }", 7, "security.key-index"), ("security: { level: mic-32 }", 7, "security.key-index"),
      ("security: { key-index: 0 }", 7, "security.key-index"),
      ("keys: keys.txt\nsecurity:\n  key-index: 1\n  level: enc", 10, "security.level"),
      ("keys: keys.txt\nsecurity:\n  key-index: 1\n  required: maybe", 10, "security.required"),
      ("keys: keys.txt\nsecurity:\n  key-index: 1\n  kind: x", 10, "security.kind"),
      ("keys: keys.txt\nsecurity:\n  key-index: 2", 9, "security.key-index"),
      ("joining:\n  permit: yes", 8, "joining.permit"), ("joining:\n  devices: 0270616e67000b01", 8, "joining.devices"),
      ("joining:\n  devices:\n    - 0270", 8, "joining.devices"), ("joining:\n  allow: true", 8, "joining.allow"),
      ("capture:\n  bytes: 70000", 8, "capture.file"), ("capture:\n  file: x\n  bytes: 65535", 9, "capture.bytes"),
      ("capture:\n  file: x\n  files: 1", 9, "capture.files"), ("capture: ring.pcapng", 7, "capture"),
      ("metrics-port: 65536", 7, "metrics-port"), ("metrics-port: -1", 7, "metrics-port"),
      ("metrics-port: http", 7, "metrics-port"), ("prefix: fd00::/48", 7, "prefix"), ("prefix: generated", 7, "prefix"),
      ("advertisement-seconds: 3", 7, "advertisement-seconds"), ("metrics: 1", 7, "metrics"),
      ("contexts: [1]", 7, "contexts"),
    ])
  func errors(_ more: String, _ line: Int, _ key: String) throws {
    try with(more, files: Self.keys) { file in
      let failure = #expect(throws: Failure.self) { try GatewayConfiguration.load(file) }
      #expect(failure?.code == Exit.cannotStart)
      let text = failure?.description ?? ""
      // The section itself is named where a key is missing in it.
      #expect(text.hasPrefix("\(file):\(line): "), "\(text)")
      #expect(text.contains("'\(key)'"), "\(text)")
    }
  }

  @Test("A key file with a line that is none is refused with the line's number")
  func keyFile() throws {
    for text in ["1:00", "x:000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f"] {
      try with("keys: keys.txt", files: ["keys.txt": "# one\n\(text)\n"]) { file in
        let failure = #expect(throws: Failure.self) { try GatewayConfiguration.load(file) }
        #expect(failure?.description.contains("keys.txt:2: ") == true)
        #expect(failure?.description.contains("000102") == false, "a key must not be shown")
      }
    }
    let missing = #expect(throws: Failure.self) { try load("keys: nowhere.txt") }
    #expect(missing?.description.contains("nowhere.txt") == true)
  }

  @Test("The kernel's radios cannot be secured from here; dongles can")
  func linuxSecurity() throws {
    let security = "keys: keys.txt\nsecurity: { key-index: 1 }"
    try with("  url: linux:wpan0\n" + security, files: Self.keys) { file in
      let failure = #expect(throws: Failure.self) { try GatewayConfiguration.load(file) }
      #expect(failure?.description.hasPrefix("\(file):9: 'security' ") == true, "\(failure?.description ?? "")")
    }
    let secured = try load("  url: spinel:/dev/ttyACM0\n" + security, files: Self.keys)
    #expect(secured.security?.level == .encMIC32 && secured.security?.isRequired == true)
    #expect(try secured.pan(hardwareAddress: nil).requiresLinkSecurity)
  }

  @Test("The radio's own EUI-64 is used without one in the file; without both there is none")
  func address() throws {
    let base = Self.base.replacingOccurrences(of: "eui64: 0270616e67000001", with: "short: 1")
    try with("", base: base) { file in
      let configuration = try GatewayConfiguration.load(file)
      let own = ExtendedAddress(0x0212_4b00_0000_0001)
      #expect(try configuration.pan(hardwareAddress: own).extendedAddress == own)
      let failure = #expect(throws: Failure.self) { try configuration.pan(hardwareAddress: nil) }
      #expect(failure?.description.contains("'radio.eui64'") == true && failure?.code == Exit.cannotStart)
    }
    let given = try load("").pan(hardwareAddress: ExtendedAddress(1))
    #expect(given.extendedAddress == ExtendedAddress(0x0270_616e_6700_0001))
  }

  @Test("A random EUI-64 is locally administered and no group's")
  func randomAddress() {
    for _ in 0..<100 {
      #expect(GatewayConfiguration.randomAddress().value & 0x0300_0000_0000_0000 == 0x0200_0000_0000_0000)
    }
  }
}
