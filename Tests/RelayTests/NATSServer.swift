import Foundation
import Queue
import Relay
import Synchronization
import Testing
import Wire

/// A nats-server with JetStream, on a free port of this machine, for one test.
final class NATSServer {
  struct NotStarted: Error, CustomStringConvertible {
    var description: String
  }

  /// What a test that needs it says when it is left out. In CI it is never left out.
  static let reason: Comment = "nats-server is not installed (tools/setup test)"
  static let isAvailable = ProcessInfo.processInfo.environment["CI"] != nil || executable != nil
  /// What tools/setup has fetched, or the system's.
  private static let executable = [root + "/.build-nats", "/usr/sbin", "/usr/bin", "/usr/local/bin"]
    .map { $0 + "/nats-server" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  private let directory: TemporaryDirectory
  private var process: Process?
  private(set) var port = 0
  var url: String { "nats://127.0.0.1:\(port)" }

  private let options: [String]

  init(jetStream: Bool = true) throws {
    options = jetStream ? ["--jetstream"] : []
    directory = try TemporaryDirectory()
    try start()
  }

  deinit { kill() }

  /// Starts it, on the port that it had before, and waits until it listens.
  func start() throws {
    guard let executable = NATSServer.executable else {
      throw NotStarted(description: "nats-server is not installed (tools/setup test)")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments =
      [
        "--addr", "127.0.0.1", "--port", port == 0 ? "-1" : "\(port)", "--store_dir", directory.path,
        "--ports_file_dir", directory.path, "--log", directory.path + "/log",
      ] + options
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    self.process = process
    let file = directory.path + "/nats-server_\(process.processIdentifier).ports"
    struct Ports: Codable { var nats: [String] }
    var ports: Ports?
    try eventually("nats-server listens") {
      guard process.isRunning else { throw NotStarted(description: "nats-server ended") }
      ports = FileManager.default.contents(atPath: file).flatMap { try? JSONDecoder().decode(Ports.self, from: $0) }
      return ports != nil
    }
    port = ports?.nats.first.flatMap { URL(string: $0)?.port } ?? 0
    guard port != 0 else { throw NotStarted(description: "nats-server does not say its port") }
  }

  /// Ends it as a crash does, and returns when it is gone.
  func kill() {
    guard let process else { return }
    if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    self.process = nil
  }

  /// Lets it answer no more, as an overloaded machine does, and then again.
  func pause() { if let process { Foundation.kill(process.processIdentifier, SIGSTOP) } }
  func resume() { if let process { Foundation.kill(process.processIdentifier, SIGCONT) } }

  /// How a relay's store finds it.
  func configuration(
    limits: QueueLimits = QueueLimits(), timeout: Duration = .seconds(10), heartbeat: Duration = .milliseconds(200)
  ) -> NATSRelayStore.Configuration {
    NATSRelayStore.Configuration(
      servers: [url], timeout: timeout, connectTimeout: .seconds(20), reconnectWait: .milliseconds(50), limits: limits,
      heartbeat: heartbeat)
  }

  /// A relay's store on it.
  func store(
    limits: QueueLimits = QueueLimits(), timeout: Duration = .seconds(10), heartbeat: Duration = .milliseconds(200)
  ) throws -> NATSRelayStore {
    try NATSRelayStore(configuration(limits: limits, timeout: timeout, heartbeat: heartbeat))
  }
}

/// Waits until `condition` holds; fails the test after the deadline.
func eventually(
  _ what: String, within deadline: Duration = .seconds(20), sourceLocation: SourceLocation = #_sourceLocation,
  _ condition: () throws -> Bool
) throws {
  let end = ContinuousClock.now + deadline
  while try !condition() {
    guard ContinuousClock.now < end else {
      Issue.record("not within \(deadline): \(what)", sourceLocation: sourceLocation)
      return
    }
    Thread.sleep(forTimeInterval: 0.005)
  }
}

/// What was told, in order.
final class Told<Value: Sendable & Equatable>: Sendable {
  private let values = Mutex<[Value]>([])
  var all: [Value] { values.withLock { $0 } }
  func add(_ value: Value) { values.withLock { $0.append(value) } }
  func contains(_ value: Value) -> Bool { all.contains(value) }
}
