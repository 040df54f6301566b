import Foundation

/// Finds what may serve as a radio on a Linux machine, by reading `/sys` and `/dev` only: nothing is opened.
public struct RadioList {
  private let root: URL

  /// `root` is where the file systems are, `/` except in tests.
  public init(root: String = "/") { self.root = URL(fileURLWithPath: root, isDirectory: true) }

  /// Interfaces first, then known dongles, then other serial ports on USB; each by name.
  public func entries() -> [RadioListEntry] {
    let ports = serialPorts()
    let used = Set(ports.map(\.device))
    let rest = names("sys/bus/usb/devices").compactMap { name in usbDevice(name, butNot: used) }
    let serial = ports.map(\.entry) + rest
    return interfaces() + serial.filter(\.isKnown) + serial.filter { !$0.isKnown }
  }

  // Interfaces.

  private func interfaces() -> [RadioListEntry] {
    names("sys/class/net").compactMap { name in
      let folder = root.appendingPathComponent("sys/class/net/\(name)")
      guard let type = text(folder, "type"), let kind = Self.kind(type) else { return nil }
      return RadioListEntry(
        kind: kind, name: name, url: "linux:\(name)", state: isUp(folder) ? "up" : "down",
        address: text(folder, "address"), isKnown: true,
        what: kind == .monitor ? "802.15.4 monitor interface, listens only" : "802.15.4 interface")
    }
  }

  /// The hardware types of Linux's if_arp.h: ARPHRD_IEEE802154 and ARPHRD_IEEE802154_MONITOR.
  private static func kind(_ type: String) -> RadioListEntry.Kind? {
    switch type {
    case "804": .interface
    case "805": .monitor
    default: nil
    }
  }

  private func isUp(_ folder: URL) -> Bool {
    // IFF_UP is bit 0. The operational state is "unknown" for many an interface that is up.
    guard let flags = text(folder, "flags"), let bits = UInt32(flags.dropFirst(2), radix: 16) else {
      return text(folder, "operstate") == "up"
    }
    return bits & 1 == 1
  }

  // Serial ports and other USB devices.

  private func serialPorts() -> [(entry: RadioListEntry, device: String)] {
    let stableNames = stableNames()
    return names("sys/class/tty").filter { $0.hasPrefix("ttyACM") || $0.hasPrefix("ttyUSB") }.compactMap { name in
      let link = root.appendingPathComponent("sys/class/tty/\(name)/device")
      guard let device = usbDevice(above: link.resolvingSymlinksInPath()), let usb = identity(device) else {
        return nil
      }
      let dongle = RadioListDongle.find(usb)
      var url: String? = "spinel:" + (stableNames[name].map { "/dev/serial/by-id/\($0)" } ?? "/dev/\(name)")
      if let baud = dongle?.baud { url? += "?baud=\(baud)" }
      if dongle?.isUsable == false { url = nil }
      let entry = RadioListEntry(
        kind: .serial, name: "/dev/\(name)", url: url, state: isAccessible("dev/\(name)") ? "ready" : "no permission",
        usb: usb, isKnown: dongle != nil, what: dongle?.what ?? "serial port on USB")
      return (entry, device.lastPathComponent)
    }
  }

  /// A known dongle that has no serial port.
  private func usbDevice(_ name: String, butNot used: Set<String>) -> RadioListEntry? {
    let folder = root.appendingPathComponent("sys/bus/usb/devices/\(name)")
    // A vendor alone says too little: its keyboards have no serial port either.
    guard !used.contains(name), let usb = identity(folder), let dongle = RadioListDongle.find(usb),
      dongle.product != nil
    else { return nil }
    return RadioListEntry(
      kind: .usb, name: name, url: nil, usb: usb, isKnown: true, what: "\(dongle.what); it has no serial port")
  }

  /// The USB device that a driver's device hangs on: the nearest folder above that has a vendor.
  private func usbDevice(above folder: URL) -> URL? {
    var folder = folder
    while folder.pathComponents.count > 1 {
      if text(folder, "idVendor") != nil { return folder }
      folder.deleteLastPathComponent()
    }
    return nil
  }

  private func identity(_ device: URL) -> RadioListEntry.USBIdentity? {
    guard let vendor = text(device, "idVendor").flatMap({ UInt16($0, radix: 16) }),
      let product = text(device, "idProduct").flatMap({ UInt16($0, radix: 16) })
    else { return nil }
    return RadioListEntry.USBIdentity(
      vendor: vendor, product: product, manufacturerName: text(device, "manufacturer"),
      productName: text(device, "product"), serial: text(device, "serial"))
  }

  /// udev's names, which stay when the dongle is plugged in elsewhere, by the name of the port.
  private func stableNames() -> [String: String] {
    var stable: [String: String] = [:]
    for name in names("dev/serial/by-id") {
      let path = root.appendingPathComponent("dev/serial/by-id/\(name)").path
      guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else { continue }
      let port = URL(fileURLWithPath: target).lastPathComponent
      // The URL ends at a question mark.
      if stable[port] == nil, !name.contains("?") { stable[port] = name }
    }
    return stable
  }

  private func isAccessible(_ path: String) -> Bool {
    let path = root.appendingPathComponent(path).path
    return FileManager.default.isReadableFile(atPath: path) && FileManager.default.isWritableFile(atPath: path)
  }

  // Reading.

  /// What is in a folder, sorted so that 10 comes behind 9.
  private func names(_ folder: String) -> [String] {
    let path = root.appendingPathComponent(folder).path
    return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted {
      ($0.count, $0) < ($1.count, $1)
    }
  }

  /// An attribute; `nil` if there is none or it is empty.
  private func text(_ folder: URL, _ attribute: String) -> String? {
    guard let data = FileManager.default.contents(atPath: folder.appendingPathComponent(attribute).path) else {
      return nil
    }
    let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    return text.isEmpty ? nil : text
  }
}
