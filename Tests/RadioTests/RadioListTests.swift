import Foundation
import Radio
import Testing

/// A tree like `/sys` and `/dev`.
struct FakeSystem {
  let folder: TemporaryFolder
  var root: String { folder.url.path }

  init() throws { folder = try TemporaryFolder() }

  func file(_ path: String, _ text: String) throws {
    let url = folder.url.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data((text + "\n").utf8).write(to: url)
  }

  func link(_ path: String, to target: String) throws {
    let url = folder.url.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
  }

  func interface(_ name: String, type: Int, flags: String? = "0x1003", address: String? = nil) throws {
    try file("sys/devices/virtual/net/\(name)/type", "\(type)")
    try file("sys/devices/virtual/net/\(name)/operstate", "unknown")
    if let flags { try file("sys/devices/virtual/net/\(name)/flags", flags) }
    if let address { try file("sys/devices/virtual/net/\(name)/address", address) }
    try link("sys/class/net/\(name)", to: "../../devices/virtual/net/\(name)")
  }

  /// A USB device at `place` of the bus with what it says of itself, and its serial port, if it has one.
  func usb(
    _ place: String, _ id: String, port: String? = nil, manufacturer: String? = nil, product: String? = nil,
    serial: String? = nil, stableName: String? = nil
  ) throws {
    let device = "sys/devices/pci0000:00/0000:00:14.0/usb1/\(place)"
    try file("\(device)/idVendor", String(id.prefix(4)))
    try file("\(device)/idProduct", String(id.suffix(4)))
    if let manufacturer { try file("\(device)/manufacturer", manufacturer) }
    if let product { try file("\(device)/product", product) }
    if let serial { try file("\(device)/serial", serial) }
    try link("sys/bus/usb/devices/\(place)", to: "../../../devices/pci0000:00/0000:00:14.0/usb1/\(place)")
    try file("\(device)/\(place):1.0/bInterfaceNumber", "00")
    try link(
      "sys/bus/usb/devices/\(place):1.0", to: "../../../devices/pci0000:00/0000:00:14.0/usb1/\(place)/\(place):1.0")
    guard let port else { return }
    // A USB serial converter has a level more than a CDC ACM device.
    let parent = port.hasPrefix("ttyUSB") ? "\(place):1.0/\(port)" : "\(place):1.0"
    try file("\(device)/\(parent)/tty/\(port)/dev", "166:0")
    try link(
      "\(device)/\(parent)/tty/\(port)/device", to: "../../../\(port.hasPrefix("ttyUSB") ? port : "\(place):1.0")")
    try link(
      "sys/class/tty/\(port)", to: "../../devices/pci0000:00/0000:00:14.0/usb1/\(place)/\(parent)/tty/\(port)")
    try file("dev/\(port)", "")
    if let stableName { try link("dev/serial/by-id/\(stableName)", to: "../../\(port)") }
  }
}

@Suite("The radios of a machine are found in its file systems")
struct RadioListTests {
  let system: FakeSystem
  private var entries: [RadioListEntry] { RadioList(root: system.root).entries() }

  init() throws { system = try FakeSystem() }

  @Test("Nothing there is an empty list")
  func empty() { #expect(entries.isEmpty) }

  @Test("802.15.4 interfaces and monitors, with address and state, and no others")
  func interfaces() throws {
    try system.interface("eth0", type: 1, address: "02:00:00:00:00:01")
    try system.interface("lowpan0", type: 825)
    try system.interface("wpan10", type: 804, flags: "0x82", address: "02:12:4b:00:00:00:00:0a")
    try system.interface("wpan9", type: 804, address: "02:12:4b:00:00:00:00:09")
    try system.interface("monitor0", type: 805, flags: nil)
    #expect(
      entries == [
        RadioListEntry(
          kind: .interface, name: "wpan9", url: "linux:wpan9", state: "up", address: "02:12:4b:00:00:00:00:09",
          isKnown: true, what: "802.15.4 interface"),
        RadioListEntry(
          kind: .interface, name: "wpan10", url: "linux:wpan10", state: "down", address: "02:12:4b:00:00:00:00:0a",
          isKnown: true, what: "802.15.4 interface"),
        RadioListEntry(
          kind: .monitor, name: "monitor0", url: "linux:monitor0", state: "down", isKnown: true,
          what: "802.15.4 monitor interface, listens only"),
      ])
  }

  @Test("A known dongle comes first, with udev's name, which stays")
  func serial() throws {
    try system.usb("1-1", "0403:6001", port: "ttyUSB0", manufacturer: "FTDI", product: "FT232R", serial: "A1")
    try system.usb(
      "1-2", "1915:cafe", port: "ttyACM0", manufacturer: "Nordic Semiconductor ASA",
      product: "nRF528xx OpenThread Device",
      serial: "F0F1", stableName: "usb-Nordic_Semiconductor_ASA_nRF528xx_OpenThread_Device_F0F1-if00")
    try system.usb("1-3.1", "10c4:ea60", port: "ttyUSB1", product: "SkyConnect v1.0")
    try system.file("sys/class/tty/ttyS0/type", "4")
    let entries = entries
    #expect(entries.map(\.name) == ["/dev/ttyACM0", "/dev/ttyUSB1", "/dev/ttyUSB0"])
    #expect(entries.map(\.isKnown) == [true, true, false])
    #expect(
      entries.map(\.url) == [
        "spinel:/dev/serial/by-id/usb-Nordic_Semiconductor_ASA_nRF528xx_OpenThread_Device_F0F1-if00",
        "spinel:/dev/ttyUSB1?baud=460800", "spinel:/dev/ttyUSB0",
      ])
    #expect(
      entries.first?.usb
        == RadioListEntry.USBIdentity(
          vendor: 0x1915, product: 0xcafe, manufacturerName: "Nordic Semiconductor ASA",
          productName: "nRF528xx OpenThread Device", serial: "F0F1"))
    #expect(entries.map(\.usb?.id) == ["1915:cafe", "10c4:ea60", "0403:6001"])
    #expect(entries.allSatisfy { $0.state == "ready" && $0.kind == .serial })
    // What is to be written in the configuration can be read from there.
    for url in entries.compactMap(\.url) { _ = try RadioURL(url) }
  }

  @Test(
    "What is known of the dongles",
    arguments: [
      ("1915:521f", "bootloader", false), ("1915:154a", "Nordic", true), ("10c4:ea60", "CP210x", true),
      ("1366:1015", "J-Link", true), ("0451:16a8", "ZNP", false), ("0451:16c8", "CC2538", true),
      ("1cf1:0030", "ConBee", false),
    ])
  func known(id: String, what: String, isUsable: Bool) throws {
    try system.usb("1-1", id, port: "ttyACM0")
    let entry = try #require(entries.first)
    #expect(entries.count == 1)
    #expect(entry.isKnown)
    #expect(entry.what.contains(what))
    #expect((entry.url != nil) == isUsable)
  }

  @Test("A known dongle without a serial port is shown with what is missing; unknown devices are not")
  func withoutPort() throws {
    try system.usb("1-4", "0451:16c8")
    try system.usb("1-5", "046d:c31c", product: "Keyboard")
    try system.usb("1-6", "1915:1025", product: "Another keyboard")
    #expect(
      entries == [
        RadioListEntry(
          kind: .usb, name: "1-4", url: nil, usb: RadioListEntry.USBIdentity(vendor: 0x0451, product: 0x16c8),
          isKnown: true, what: "Texas Instruments CC2538; it has no serial port")
      ])
  }

  @Test("A port that is not there for this user says so, and broken entries are passed over")
  func broken() throws {
    try system.usb("1-2", "1915:cafe", port: "ttyACM0")
    try FileManager.default.removeItem(atPath: system.folder.path("dev/ttyACM0"))
    try system.link("sys/class/tty/ttyACM1", to: "../../nowhere")
    try system.link("sys/class/net/wpan0", to: "../../nowhere")
    try system.file("sys/class/tty/ttyACM2/device/idVendor", "none")
    try system.link("dev/serial/by-id/strange?name", to: "../../ttyACM0")
    #expect(entries.map(\.state) == ["no permission"])
    #expect(entries.map(\.url) == ["spinel:/dev/ttyACM0"])
  }
}
