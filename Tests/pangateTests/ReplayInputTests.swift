import Foundation
import Testing

/// What a careless user gives to `pangate replay`: one clear line each, and the documented exit code.
@Suite("pangate replay, bad input")
struct ReplayInputTests {
  private let demo = Executable.root.appendingPathComponent("Config/demo").path

  /// A changed copy of the demo's configuration, with its file names made absolute.
  private func configuration(_ change: (String) -> String) throws -> String {
    let text = try String(contentsOfFile: demo + "/gateway.yaml", encoding: .utf8)
    var absolute = text
    for name in [
      "gateway.pem", "oracle.pem", "peer-record-gateway.cose", "relay.pem", "access-list.cose", "owner.pem",
    ] { absolute = absolute.replacingOccurrences(of: ": \(name)", with: ": \(demo)/\(name)") }
    let path = HomeReplay.temporary("config") + ".yaml"
    try change(absolute).write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  private func refusal(config: String, capture: String = "Captures/home.pcap", _ more: [String] = []) throws
    -> Executable.Result
  {
    try Executable.run(["replay", capture, "--config", config] + more)
  }

  private func expectOneLine(_ result: Executable.Result, _ status: Int32, _ parts: [String]) {
    #expect(result.status == status)
    #expect(result.stderr.split(separator: "\n").count == 1, "\(result.stderr)")
    for part in parts { #expect(result.stderr.contains(part), "\(result.stderr)") }
  }

  @Test("The unchanged configuration is good, and so is the commented example")
  func good() throws {
    let copy = try configuration { $0 }
    defer { try? FileManager.default.removeItem(atPath: copy) }
    for file in [copy, "Config/gateway.yaml", "Config/demo/gateway.yaml"] {
      let result = try refusal(config: file, ["--check-config"])
      #expect(result.status == 0 && result.stdout.contains("good"), "\(file): \(result.stderr)")
    }
  }

  @Test("An unknown key, a missing one and a value that cannot be read name file, line and key")
  func keys() throws {
    let cases: [((String) -> String, [String])] = [
      ({ $0 + "\ncolour: blue\n" }, ["unknown key 'colour'", ".yaml:"]),
      ({ $0.replacingOccurrences(of: "channel: 15", with: "channel: 99") }, ["'pan.channel'", "0 to 26", ".yaml:"]),
      ({ $0.replacingOccurrences(of: "identity: \(demo)/gateway.pem\n", with: "") }, ["'identity' is missing"]),
      ({ $0.replacingOccurrences(of: "  id: 0xabcd\n", with: "") }, ["'pan.id'"]),
      ({ _ in "pan: [" }, ["not valid YAML"]),
      ({ _ in "" }, ["empty"]),
      (
        { $0.replacingOccurrences(of: "\(demo)/gateway.pem", with: "/nowhere/gateway.pem") },
        ["/nowhere/gateway.pem", "cannot be read"]
      ),
      (
        { $0.replacingOccurrences(of: "\(demo)/peer-record-gateway.cose", with: "\(demo)/peer-record-owner.cose") },
        ["peer-record-owner.cose", "refused"]
      ),
      (
        { $0.replacingOccurrences(of: "\(demo)/access-list.cose", with: "\(demo)/gateway.yaml") },
        ["gateway.yaml", "access list is refused"]
      ),
    ]
    for (change, parts) in cases {
      let file = try configuration(change)
      defer { try? FileManager.default.removeItem(atPath: file) }
      expectOneLine(try refusal(config: file), 3, parts)
    }
    expectOneLine(try refusal(config: "/nowhere.yaml"), 3, ["/nowhere.yaml", "cannot read the configuration"])
  }

  @Test("What is no capture, and a capture that is cut off")
  func captures() throws {
    let config = "Config/demo/gateway.yaml"
    expectOneLine(try refusal(config: config, capture: "README.md"), 3, ["README.md"])
    expectOneLine(try refusal(config: config, capture: "/nowhere.pcap"), 3, ["/nowhere.pcap"])
    let whole = try Data(contentsOf: Executable.root.appendingPathComponent("Captures/home.pcap"))
    let cut = HomeReplay.temporary("cut") + ".pcap"
    defer { try? FileManager.default.removeItem(atPath: cut) }
    try whole.prefix(12_000).write(to: URL(fileURLWithPath: cut))
    let result = try refusal(config: config, capture: cut, ["--json"])
    expectOneLine(result, 1, [cut])
    // What came before the damage was replayed.
    #expect(try ReplayLine.all(result.stdout).contains { $0.event == "accepted" })
  }

  @Test("A command that cannot be read, for a node that does not exist, or to a state directory that cannot be made")
  func usage() throws {
    let config = "Config/demo/gateway.yaml"
    #expect(try refusal(config: config, ["--command", "open the lock"]).status == 2)
    let unknown = try refusal(config: config, ["--command", "garage: PUT /door open"])
    #expect(unknown.status == 2 && unknown.stderr.contains("lock, thermostat"))
    #expect(try refusal(config: config, ["--speed", "fast"]).status == 2)
    #expect(try Executable.run(["replay", "Captures/home.pcap"]).status == 2)
    expectOneLine(try refusal(config: config, ["--state", "/proc/nowhere"]), 3, ["/proc/nowhere"])
  }
}
