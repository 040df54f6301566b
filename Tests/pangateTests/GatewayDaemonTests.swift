import Foundation
import Testing

@testable import pangate

/// A `pangate gateway` that runs, with the demo home's identities and a state directory of its own.
final class Daemon {
  let folder: URL
  private let process = Process()
  private let output = Pipe()
  /// What it has logged so far.
  private(set) var log = ""

  static let radio = "zep://127.0.0.1:0"

  /// Writes the configuration: what every gateway needs, and `more`.
  init(_ more: String = "prefix: generate\nmetrics-port: 0\n", radio: String = Daemon.radio) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-gw-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try configure(more, radio: radio)
  }

  deinit {
    if process.isRunning {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    try? FileManager.default.removeItem(at: folder)
  }

  var file: String { folder.appendingPathComponent("gateway.yaml").path }
  var control: String { folder.appendingPathComponent("control").path }
  var state: String { folder.appendingPathComponent("state").path }

  func configure(_ more: String, radio: String = Daemon.radio) throws {
    let demo = Executable.root.appendingPathComponent("Config/demo").path
    let text = """
      pan: { id: 0xabcd, channel: 15 }
      radio: { url: "\(radio)", eui64: 0270616e67000001, short: 1 }
      identity: \(demo)/gateway.pem
      group: { oracle: \(demo)/oracle.pem, peer-record: \(demo)/peer-record-gateway.cose }
      relay: { identity: \(demo)/relay.pem, access-list: \(demo)/access-list.cose }
      demo: { owner: \(demo)/owner.pem }
      state: state
      control: control
      \(more)
      """
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
  }

  func start() throws {
    process.executableURL = Executable.products.appendingPathComponent("pangate")
    process.arguments = ["gateway", "--config", file]
    process.currentDirectoryURL = folder
    process.standardError = output
    try process.run()
    // Only the process has the end that is written to: when it ends, the log ends.
    try output.fileHandleForWriting.close()
  }

  /// Reads the log until `text` stands in it; false if the process ended before.
  @discardableResult
  func waitFor(_ text: String, at line: SourceLocation = #_sourceLocation) -> Bool {
    while !log.contains(text) {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else {
        Issue.record("'\(text)' was never logged:\n\(log)", sourceLocation: line)
        return false
      }
      log += String(decoding: more, as: UTF8.self)
    }
    return true
  }

  func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  /// Waits for the end; the exit code, or minus the signal.
  func end() -> Int32 {
    while true {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { break }
      log += String(decoding: more, as: UTF8.self)
    }
    process.waitUntilExit()
    return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
  }

  func status() throws -> GatewayStatus {
    let result = try Executable.run(["status", "--control", control, "--json"])
    #expect(result.status == 0, "\(result.stderr)")
    return try JSONDecoder().decode(GatewayStatus.self, from: Data(result.stdout.utf8))
  }

  func send(_ node: String, _ text: String) throws -> Executable.Result {
    try Executable.run(["send", "--control", control, "--to", node, "--coap", text])
  }

  /// Runs a script of the shell.
  static func run(_ script: String) throws -> Executable.Result {
    try Executable.run(URL(fileURLWithPath: "/bin/bash"), ["-c", script])
  }
}

@Suite("pangate gateway", .timeLimit(.minutes(5)))
struct GatewayDaemonTests {
  @Test("Status, commands and metrics are served while it runs; SIGHUP keeps it running, SIGTERM ends it well")
  func life() throws {
    let daemon = try Daemon()
    try daemon.start()
    guard daemon.waitFor("radio is up"), daemon.waitFor("/metrics") else { return }
    let attributes = try FileManager.default.attributesOfItem(atPath: daemon.control)
    #expect(attributes[.posixPermissions] as? Int == 0o660)
    #expect(attributes[.type] as? FileAttributeType == .typeSocket)

    var status = try daemon.status()
    #expect(status.radio.isUp && status.radio.url == Daemon.radio && status.radio.outages == 0)
    #expect(status.eui64 == "02:70:61:6e:67:00:00:01" && status.epoch == 1)
    #expect(status.nodes.map(\.name).sorted() == ["lock", "occupancy", "rain", "temperature", "thermostat"])
    #expect(status.nodes.allSatisfy { $0.held == 0 && $0.lastHeard == nil && $0.frames == 0 })
    let prefix = try #require(status.prefix)
    #expect(prefix.hasPrefix("fd") && prefix.hasSuffix("/64"))

    let given = try daemon.send("lock", "PUT /lock open")
    #expect(given.status == 0 && given.stdout == "given, seq 1\n")
    status = try daemon.status()
    #expect(status.nodes.first { $0.name == "lock" }?.held == 1)
    let unknown = try daemon.send("toaster", "PUT /on 1")
    #expect(unknown.status == 1 && unknown.stderr.contains("toaster") && unknown.stderr.contains("thermostat"))
    #expect(try daemon.send("lock", "OPEN /lock").status == 1)
    #expect(try daemon.send("rain", "PUT /x 1").status == 1)

    let table = try Executable.run(["status", "--config", daemon.file])
    #expect(table.status == 0 && table.stdout.contains("lock") && table.stdout.contains("0xabcd"))

    let page = try metrics(daemon)
    #expect(page.contains("pangate_radio_up 1\n") && page.contains("# TYPE pangate_radio_up gauge\n"))
    #expect(page.contains("pangate_commands_held_total 1\n"))

    daemon.signal(SIGHUP)
    guard daemon.waitFor("configuration read again") else { return }
    try daemon.configure("limits: { neighbors: none }\nprefix: generate\nmetrics-port: 0\n")
    daemon.signal(SIGHUP)
    guard daemon.waitFor("configuration not read again") else { return }
    #expect(daemon.log.contains("'limits.neighbors'"))
    #expect(try daemon.status().nodes.first { $0.name == "lock" }?.held == 1)

    daemon.signal(SIGTERM)
    #expect(daemon.end() == 0)
    #expect(daemon.log.contains("stopped"))
    #expect(!FileManager.default.fileExists(atPath: daemon.control))
    let gone = try Executable.run(["status", "--control", daemon.control])
    #expect(gone.status == Exit.cannotStart && gone.stderr.contains("no gateway answers there"))
    #expect(try String(contentsOfFile: daemon.state + "/prefix", encoding: .utf8) == prefix + "\n")
  }

  private func metrics(_ daemon: Daemon) throws -> String {
    let address = try #require(daemon.log.firstMatch(of: /http:\/\/127\.0\.0\.1:(\d+)\/metrics/))
    let result = try Daemon.run(
      "exec 3<>/dev/tcp/127.0.0.1/\(address.1); printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3")
    #expect(result.status == 0 && result.stdout.hasPrefix("HTTP/1.0 200"), "\(result.stdout)")
    #expect(result.stdout.contains("text/plain; version=0.0.4"))
    let other = try Daemon.run(
      "exec 3<>/dev/tcp/127.0.0.1/\(address.1); printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3")
    #expect(other.stdout.hasPrefix("HTTP/1.0 404"))
    return result.stdout
  }

  @Test("What was held and the prefix are there after kill -9; a second gateway on the same state does not start")
  func restart() throws {
    let daemon = try Daemon()
    try daemon.start()
    guard daemon.waitFor("radio is up") else { return }
    #expect(try daemon.send("lock", "PUT /lock open").status == 0)
    let before = try daemon.status()
    let second = try Executable.run(["gateway", "--config", daemon.file])
    #expect(second.status == Exit.cannotStart && second.stderr.contains("in use"), "\(second.stderr)")
    // The first does not notice.
    #expect(try daemon.status().nodes.map(\.held) == before.nodes.map(\.held))
    daemon.signal(SIGKILL)
    #expect(daemon.end() == -SIGKILL)

    let again = try Daemon()
    try FileManager.default.copyItem(atPath: daemon.state, toPath: again.state)
    try again.start()
    guard again.waitFor("radio is up") else { return }
    let after = try again.status()
    #expect(after.prefix == before.prefix)
    #expect(after.nodes.first { $0.name == "lock" }?.held == 1)
    let next = try again.send("lock", "PUT /lock closed")
    #expect(next.stdout == "given, seq 2\n")
    again.signal(SIGINT)
    #expect(again.end() == 0)
  }

  @Test("--check-config says what is good, or what is wrong, and touches nothing")
  func check() throws {
    let daemon = try Daemon()
    let good = try Executable.run(["gateway", "--config", daemon.file, "--check-config"])
    #expect(good.status == 0 && good.stdout == "\(daemon.file): good; 5 nodes, peer record of epoch 1\n")
    #expect(try FileManager.default.contentsOfDirectory(atPath: daemon.folder.path) == ["gateway.yaml"])
    try daemon.configure("metrics-port: none\n")
    let bad = try Executable.run(["gateway", "--config", daemon.file, "--check-config"])
    #expect(bad.status == Exit.cannotStart && bad.stdout.isEmpty)
    #expect(bad.stderr.hasPrefix("pangate: \(daemon.file):9: 'metrics-port' must be"), "\(bad.stderr)")
  }

  @Test("A radio that is not there is logged with its remedy and tried again until SIGTERM")
  func missingInterface() throws {
    let daemon = try Daemon("prefix: fd00::/64\n", radio: "linux:nosuch0")
    try daemon.start()
    guard daemon.waitFor("radio is down") else { return }
    #expect(daemon.log.contains("nosuch0") && daemon.log.contains("pangate radio list"))
    let first = try daemon.status()
    #expect(!first.radio.isUp && first.radio.lastError?.contains("nosuch0") == true)
    #expect(first.eui64 == nil && first.nodes.isEmpty)
    // It is tried again: the last attempt is a later one.
    var last = first
    while last.radio.since == first.radio.since { last = try daemon.status() }
    #expect(!last.radio.isUp)
    daemon.signal(SIGTERM)
    #expect(daemon.end() == 0)
  }

  @Test("A radio whose URL is of an unknown kind is wrong usage, or an error of the configuration")
  func unknownRadio() throws {
    let daemon = try Daemon()
    let option = try Executable.run(["gateway", "--config", daemon.file, "--radio", "foo:1"])
    #expect(option.status == Exit.usage && option.stderr.contains("linux:wpan0"), "\(option.stderr)")
    try daemon.configure("", radio: "foo:1")
    let file = try Executable.run(["gateway", "--config", daemon.file])
    #expect(file.status == Exit.cannotStart)
    #expect(file.stderr.contains("\(daemon.file):2: 'radio.url'"), "\(file.stderr)")
    #expect(!FileManager.default.fileExists(atPath: daemon.state))
  }

  @Test("A generated prefix needs a place where it is kept")
  func stateless() throws {
    let daemon = try Daemon()
    let text = try String(contentsOfFile: daemon.file, encoding: .utf8)
    try Data(text.replacingOccurrences(of: "state: state\n", with: "").utf8).write(
      to: URL(fileURLWithPath: daemon.file))
    let result = try Executable.run(["gateway", "--config", daemon.file])
    #expect(result.status == Exit.cannotStart && result.stderr.contains("'prefix: generate' needs 'state'"))
  }

  @Test(
    "What is no request on the control socket is an error of that request alone",
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "needs python3"))
  func control() throws {
    let daemon = try Daemon()
    try daemon.start()
    guard daemon.waitFor("radio is up") else { return }
    let script = """
      import socket, sys
      def ask(data):
          s = socket.socket(socket.AF_UNIX)
          s.connect(sys.argv[1])
          s.sendall(data)
          return s.makefile("rb").readline()
      assert b"not a request" in ask(b"hello\\n")
      assert b"not a request" in ask(b"\\n")
      assert ask(b"x" * 5000) == b""
      s = socket.socket(socket.AF_UNIX)
      s.connect(sys.argv[1])
      reader = s.makefile("rb")
      for part in (b'{"sta', b'tus":{}}\\n{"status":{}}\\n'):
          s.sendall(part)
      assert b'"nodes"' in reader.readline()
      assert b'"nodes"' in reader.readline()
      """
    let result = try Executable.run(
      URL(fileURLWithPath: "/usr/bin/python3"), ["-c", script, daemon.control])
    #expect(result.status == 0, "\(result.stderr)")
    #expect(try daemon.status().radio.isUp)
    daemon.signal(SIGTERM)
    #expect(daemon.end() == 0)
  }
}
