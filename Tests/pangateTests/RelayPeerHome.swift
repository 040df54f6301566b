import Foundation
import Testing

/// A `pangate relay` on free ports of every scheme, with the demo home's identities, and scripts of tools/peers around it.
final class RelayPeerHome {
  struct NotStarted: Error { var log: String }

  static let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]
  let folder: URL
  /// In the order of the configuration: coaps+tcp, coaps+ws, coap+tcp, coap+ws.
  private(set) var urls: [String] = []
  private let relay: RelayPeerProcess

  /// Starts it; `more` is added to its configuration.
  init(_ more: String = "") throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-peers-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    // A CA and a certificate that it signed: the peers verify it as they would a public one.
    let made = try Executable.run(Self.program, [Self.script("relay_endpoint.py"), "tls", folder.path])
    guard made.status == 0 else { throw NotStarted(log: made.stderr) }
    let text = """
      identity: \(Self.demo("relay.pem"))
      listen:
        - coaps+tcp://127.0.0.1:0
        - coaps+ws://127.0.0.1:0
        - coap+tcp://127.0.0.1:0
        - coap+ws://127.0.0.1:0
      tls: {certificate: relay.pem, key: relay.key}
      groups:
        - oracle: \(Self.demo("oracle.pem"))
          access-list: \(Self.demo("access-list.cose"))
      store: {state: state}
      \(more)
      """
    let file = folder.appendingPathComponent("relay.yaml")
    try Data(text.utf8).write(to: file)
    relay = try RelayPeerProcess(
      Executable.products.appendingPathComponent("pangate"), ["relay", "--config", file.path],
      output: folder.appendingPathComponent("log"))
    let isUp = relay.wait { $0.components(separatedBy: "listening").count > 4 }
    urls = try relay.text().matches(of: /url=(coap\S+)/).map { String($0.1) }
    guard isUp, urls.count == 4 else { throw NotStarted(log: try relay.text()) }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  var processIdentifier: Int32 { relay.process.processIdentifier }
  var ca: String { folder.appendingPathComponent("ca.pem").path }

  static var program: URL { URL(fileURLWithPath: python ?? "") }

  static func script(_ name: String) -> String {
    Executable.root.appendingPathComponent("tools/peers/\(name)").path
  }

  private static func demo(_ name: String) -> String {
    Executable.root.appendingPathComponent("Config/demo/\(name)").path
  }

  /// Stops the relay, which must end well.
  func stop() {
    relay.process.terminate()
    relay.process.waitUntilExit()
    #expect(relay.process.terminationReason == .exit && relay.process.terminationStatus == 0)
  }

  /// Runs a script to its end: everything that it reports must be good.
  func run(_ script: String, _ arguments: [String]) throws -> [RelayPeerLine] {
    let result = try Executable.run(
      Self.program, ["-B", Self.script(script), "--ca", ca] + arguments)
    return try check(result.stdout, status: result.status, stderr: result.stderr)
  }

  /// Starts a script that runs until its input is closed.
  func start(_ script: String, _ arguments: [String]) throws -> RelayPeerProcess {
    try RelayPeerProcess(
      Self.program, ["-B", Self.script(script), "--ca", ca] + arguments,
      output: folder.appendingPathComponent("peer-\(UUID().uuidString)"))
  }

  func check(_ output: String, status: Int32, stderr: String = "") throws -> [RelayPeerLine] {
    let wrong = output.split(separator: "\n").filter { !$0.contains("\"good\": true") }
    #expect(wrong.isEmpty && status == 0, "\(wrong.joined(separator: "\n"))\n\(stderr)")
    return try RelayPeerLine.all(output)
  }

  /// The configuration of an endpoint that reaches this relay over `url`.
  func endpoint(_ name: String, over url: String) throws -> String {
    let text = """
      identity: \(Self.demo("\(name).pem"))
      group: {oracle: \(Self.demo("oracle.pem")), peer-record: \(Self.demo("peer-record-\(name).cose"))}
      state: \(name)
      relay: {urls: ["\(url)"], certificate: \(Self.demo("relay.pem")), trust: ca.pem}
      """
    let file = folder.appendingPathComponent("\(name).yaml")
    try Data(text.utf8).write(to: file)
    return file.path
  }
}

/// One line that a script of tools/peers printed.
struct RelayPeerLine: Decodable {
  var url: String?
  var what: String
  var good: Bool
  var sender: String?
  var text: String?

  static func all(_ output: String) throws -> [RelayPeerLine] {
    try output.split(separator: "\n").map { try JSONDecoder().decode(RelayPeerLine.self, from: Data($0.utf8)) }
  }
}

/// A program that runs beside a test, with its output in a file.
final class RelayPeerProcess {
  let process = Process()
  private let input = Pipe()
  private let file: URL

  init(_ program: URL, _ arguments: [String], output: URL) throws {
    file = output
    try Data().write(to: file)
    let handle = try FileHandle(forWritingTo: file)
    process.executableURL = program
    process.arguments = arguments
    process.currentDirectoryURL = Executable.root
    process.standardInput = input
    process.standardOutput = handle
    process.standardError = handle
    try process.run()
  }

  deinit {
    if process.isRunning {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
  }

  func text() throws -> String { String(decoding: try Data(contentsOf: file), as: UTF8.self) }

  /// Waits until its output is as wanted; false if it ends, or after a minute, without.
  func wait(until isWanted: (String) -> Bool) -> Bool {
    let deadline = Date(timeIntervalSinceNow: 60)
    while Date() < deadline {
      let isRunning = process.isRunning
      if let text = try? text(), isWanted(text) { return true }
      guard isRunning else { return false }
      Thread.sleep(forTimeInterval: 0.02)
    }
    return false
  }

  /// Closes its input, or sends it a signal, and waits for its end. Returns its exit code.
  func end(signal: Int32? = nil) throws -> Int32 {
    if let signal { kill(process.processIdentifier, signal) } else { try input.fileHandleForWriting.close() }
    process.waitUntilExit()
    return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
  }
}
