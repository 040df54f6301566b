import Foundation
import Testing

/// `pangate gateway` on a ZEP radio, with nodes that share no code with it (tools/peers/zepnode.py).
@Suite(
  "A gateway over ZEP",
  .enabled(if: ZEPHome.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct ZEPGatewayTests {
  @Test("A node is acknowledged, solicits a router, posts, and fetches what is held for it")
  func node() throws {
    let home = try ZEPHome()
    defer { home.stop() }
    let solicited = try home.node("0270616e67000b05", ["rs"])
    #expect(solicited.contains("prefix fd50:616e:6761:1::/64 flags 0x40"))
    // Source address, prefix, authoritative border router.
    #expect(solicited.contains("options [1, 3, 35]"))

    #expect(try home.node("0270616e67000b05", ["post", "21.5"]) == "2.04 Changed acknowledged 1 retries 0\n")
    #expect(try home.log(has: "delivered temperature owner no-consequence 4 reads: 21.5"))
    // Four frames out, each acknowledged.
    let long = String(repeating: "7", count: 300)
    #expect(try home.node("0270616e67000b05", ["post", long]).hasPrefix("2.04 Changed acknowledged 4 "))
    #expect(try home.log(has: long))

    // The lock's command is held since the start; fragments come back.
    #expect(try home.node("0270616e67000b01", ["get"]) == "2.05 Content 135\n")
    #expect(try home.node("0270616e67000b05", ["get"]) == "2.05 Content 0\n")
    // Who is not of the group may say nothing.
    #expect(try home.node("0270616e67000bad", ["post", "1"]).hasPrefix("4.03 Forbidden"))
  }

  @Test("Another channel and another PAN are not heard")
  func elsewhere() throws {
    let home = try ZEPHome()
    defer { home.stop() }
    #expect(throws: ZEPHome.NodeFailed.self) { try home.node("0270616e67000b05", ["post", "1"], channel: "16") }
    #expect(throws: ZEPHome.NodeFailed.self) { try home.node("0270616e67000b05", ["post", "1"], pan: "0xabce") }
  }
}

/// A gateway with the demo home's identities on a free UDP port, in a directory of its own.
final class ZEPHome {
  struct NodeFailed: Error { var output: String }
  struct NotStarted: Error { var log: String }

  static let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]
  let folder: URL
  let port: Int
  private let process = Process()
  private let logFile: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-zep-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    port = Int.random(in: 20_000..<60_000)
    logFile = folder.appendingPathComponent("log")
    let demo = Executable.root.appendingPathComponent("Config/demo").path
    let config = folder.appendingPathComponent("gateway.yaml")
    try """
    pan: {id: 0xabcd, channel: 15}
    radio: {url: "zep://127.0.0.1:\(port)", eui64: 0270616e67000001, short: 0x0001}
    prefix: fd50:616e:6761:1::/64
    state: \(folder.path)/state
    identity: \(demo)/gateway.pem
    group: {oracle: \(demo)/oracle.pem, peer-record: \(demo)/peer-record-gateway.cose}
    relay: {identity: \(demo)/relay.pem, access-list: \(demo)/access-list.cose}
    demo: {owner: \(demo)/owner.pem, commands: ["lock: PUT /lock open"], print: true}
    """.write(to: config, atomically: true, encoding: .utf8)
    try Data().write(to: logFile)
    process.executableURL = Executable.products.appendingPathComponent("pangate")
    process.arguments = ["gateway", "--config", config.path, "--log-level", "debug"]
    let output = try FileHandle(forWritingTo: logFile)
    process.standardError = output
    process.standardOutput = output
    try process.run()
    guard try log(has: "held owner lock") else { throw NotStarted(log: try text()) }
  }

  func stop() {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
  }

  private func text() throws -> String { String(decoding: try Data(contentsOf: logFile), as: UTF8.self) }

  /// Waits until the log has a text; false if the gateway ends, or after a minute, without.
  func log(has wanted: String) throws -> Bool {
    for _ in 0..<1200 {
      if try text().contains(wanted) { return true }
      guard process.isRunning else { return false }
      Thread.sleep(forTimeInterval: 0.05)
    }
    return false
  }

  /// What a node printed that ran one command.
  func node(
    _ eui64: String, _ command: [String], channel: String = "15", pan: String = "0xabcd"
  ) throws -> String {
    let script = Executable.root.appendingPathComponent("tools/peers/zepnode.py").path
    let result = try Executable.run(
      URL(fileURLWithPath: Self.python ?? ""),
      [script, "127.0.0.1:\(port)", eui64, "0270616e67000001", pan, channel] + command)
    guard result.status == 0 else { throw NodeFailed(output: result.stdout + result.stderr) }
    return result.stdout
  }
}
