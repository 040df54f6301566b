import Foundation
import Testing

@Suite("pangate radio")
struct RadioCommandTests {
  private let root: String

  init() throws {
    root = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
  }

  private func file(_ path: String, _ text: String) throws {
    let url = URL(fileURLWithPath: root).appendingPathComponent(path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data((text + "\n").utf8).write(to: url)
  }

  /// A tree with an interface and a dongle, whose name would turn the text on a terminal red.
  private func machine() throws {
    try file("sys/class/net/wpan0/type", "804")
    try file("sys/class/net/wpan0/flags", "0x83")
    try file("sys/class/net/wpan0/address", "02:12:4b:00:00:00:00:01")
    try file("sys/class/tty/ttyACM0/device/idVendor", "1915")
    try file("sys/class/tty/ttyACM0/device/idProduct", "cafe")
    try file("sys/class/tty/ttyACM0/device/product", "Red \u{1b}[31m")
    try file("dev/ttyACM0", "")
  }

  private func run(_ arguments: [String]) throws -> Executable.Result {
    defer { try? FileManager.default.removeItem(atPath: root) }
    return try Executable.run(["radio"] + arguments)
  }

  @Test("The list is a table with URLs, fit for a terminal")
  func list() throws {
    try machine()
    let result = try run(["list", "--root", root])
    #expect(result.status == 0)
    #expect(
      result.stdout == """
        url                  device        state  address or USB           what
        linux:wpan0          wpan0         up     02:12:4b:00:00:00:00:01  802.15.4 interface
        spinel:/dev/ttyACM0  /dev/ttyACM0  ready  1915:cafe                Nordic, as nRF52840 dongles and boards \
        (Red \\u{1b}[31m)

        """)
  }

  @Test("The list is JSON, an object a line")
  func listJSON() throws {
    try machine()
    let result = try run(["list", "--json", "--root", root])
    let lines = result.stdout.split(separator: "\n")
    #expect(
      lines.first == """
        {"address":"02:12:4b:00:00:00:00:01","device":"wpan0","kind":"interface","known":true,"state":"up",\
        "url":"linux:wpan0","what":"802.15.4 interface"}
        """)
    let last = try #require(lines.last)
    let dongle = try #require(try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])
    #expect(dongle["kind"] as? String == "serial")
    #expect((dongle["usb"] as? [String: String]) == ["id": "1915:cafe", "product": "Red \u{1b}[31m"])
    #expect(lines.count == 2)
  }

  @Test("Nothing found is said on standard error")
  func nothing() throws {
    let result = try run(["list", "--root", root])
    #expect(result.status == 0)
    #expect(result.stdout.isEmpty)
    #expect(result.stderr == "No 802.15.4 interface and no serial port on USB was found.\n")
  }

  @Test("A probe shows what the radio is")
  func probe() throws {
    let text = try run(["probe", "pcap:Captures/home.pcap"])
    #expect(text.status == 0)
    #expect(
      text.stdout == """
        radio             pcap:Captures/home.pcap
        name              a recording of link type 230
        capabilities      listens only, promiscuous
        hardware address  not told

        """)
    let json = try run(["probe", "pcap:Captures/home.pcap", "--json"])
    #expect(
      json.stdout == """
        {"capabilities":["listens only","promiscuous"],"name":"a recording of link type 230",\
        "url":"pcap:Captures/home.pcap"}

        """)
  }

  @Test("A radio that cannot be opened is exit code 3 with the remedy; a URL that is none is wrong usage")
  func failures() throws {
    let missing = try run(["probe", "pcap:nowhere.pcap"])
    #expect(missing.status == 3)
    #expect(missing.stderr == "pangate: pcap:nowhere.pcap: No such file or directory; give a pcap or pcapng file\n")
    let unknown = try run(["probe", "wifi:wlan0"])
    #expect(unknown.status == 2)
    #expect(unknown.stderr.contains("write linux:wpan0, spinel:"))
  }

  @Test("--help has examples and exit codes", arguments: ["list", "probe"])
  func help(command: String) throws {
    let help = try run([command, "--help"])
    #expect(help.status == 0)
    for part in ["EXAMPLES", "EXIT CODES", "--json"] { #expect(help.stdout.contains(part)) }
  }
}
