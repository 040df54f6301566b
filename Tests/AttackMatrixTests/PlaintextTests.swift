import Bridge
import COSE
import CoAP
import CoreMetrics
import Envelope
import Foundation
import Logging
import NIOPosix
import Queue
import Relay
import Synchronization
import Testing
import Wire

/// Who carries what is confidential learns nothing of it: not in files, not in logs.
@Suite struct PlaintextTests {
  /// What was said confidentially; nothing else holds these words.
  private static let secrets = ["nobody-is-home-until-nine", "close-the-bedroom-blinds", "the-safe-is-behind-it"]
  /// What was said in class auth-only, the same ways: to be found, or the search would show nothing.
  private static let open = ["front-door-was-left-ajar", "unbolt-the-front-door-now"]

  @Test("Relay and gateway store and log nothing of what is confidential, up and down, and all of what is not")
  func sealed() async throws {
    let group = try MatrixGroup.shared.get()
    let directories = try [TemporaryFolder(), TemporaryFolder()]
    let log = LogBox()
    var seen = Evidence()

    // Up: two nodes post to the gateway; what is sent again, readable or damaged is refused.
    let gatewayStore = try SQLiteStore(directory: directories[1].path)
    var gateway = Gateway(
      identity: try group["gateway"], oracle: try group["oracle"].public, directory: try group.directory("gateway"),
      relay: try group.address("relay"), store: gatewayStore)
    func post(_ bytes: [UInt8]) {
      let request = CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: bytes)
      let answer = gateway.receive(NodeRequest(request: request, eui64: nil, fingerprint: []), now: MatrixGroup.now)
      seen.gatewayLog += answer.events.map { "\($0)" }
    }
    for (node, text) in [("presence", Self.secrets[0]), ("lock", Self.open[0])] {
      var traffic = try Traffic.report(group, of: node)
      traffic.contents = [.init(format: 0, bytes: Array(text.utf8))]
      // Beyond the numbers that the node has used.
      let genuine = try traffic.genuine(1_000)
      for bytes in [genuine.bytes, genuine.bytes, malleated(genuine.bytes), Array(genuine.bytes.dropLast())] {
        post(bytes)
      }
    }

    // End to end: a command, and an answer that says it again.
    let pair = try EndToEndPair(group, "presence")
    let endToEnd = [try pair.command(Self.secrets[2]), try pair.give("GET /v")]
    for command in endToEnd { post(try pair.answer(to: command).bytes) }
    let given = try pair.owner.outbound(limit: .max).last?.number ?? 0

    // Down: the owner commands both.
    for (node, text) in [("presence", Self.secrets[1]), ("lock", Self.open[1])] {
      _ = try pair.owner.command(
        try #require(CommandText("\(node): PUT /v \(text)")), label: node, now: MatrixGroup.now)
    }

    // The relay with its ports, on disk, logging all it ever would.
    let store = try JournaledStore(directory: directories[0].path)
    let server = try await self.server(group, store, log)
    let url = try #require(server.urls.first)
    let (reports, commands) = (try gateway.outbound(limit: .max), try pair.owner.outbound(after: given, limit: .max))
    try await submit(endToEnd.map(\.bytes) + commands.map(\.bytes), as: "owner", group, url)
    try await submit(reports.map(\.bytes), as: "gateway", group, url)
    // A readable one, as if its sender forgot to seal it.
    let header = try Traffic.report(group, of: "presence").genuine(9).header
    let readable = try group.sign(header, Array(Self.secrets[0].utf8), by: "presence")
    try await submit([readable], as: "gateway", group, url, isRefused: true)
    post(readable)
    seen.relay += try directories[0].contents()

    // Both collect what is held for them.
    let heard = try await collect(4, as: "owner", serving: [], group, url)
    for bytes in heard { #expect(pair.owner.deliver(bytes, now: MatrixGroup.now).custody == .taken) }
    for bytes in try await collect(4, as: "gateway", serving: ["presence", "lock"], group, url) {
      let (custody, events) = gateway.deliver(bytes, now: MatrixGroup.now)
      #expect(custody == .taken)
      seen.gatewayLog += events.map { "\($0)" }
    }
    seen.gateway += try directories[1].contents()
    await server.server.drain()
    store.close()
    gatewayStore.close()
    seen.relay += try directories[0].contents()
    seen.gateway += try directories[1].contents()
    seen.relayLog = log.lines

    // It did arrive.
    let inbox = try pair.owner.inboxContents()
    let texts = inbox.filter { !$0.isEndToEnd }.map { String(decoding: $0.content.bytes, as: UTF8.self) }
    #expect(Set(texts) == [Self.secrets[0], Self.open[0]])
    let answers = try inbox.filter(\.isEndToEnd).map { try EncapsulatedMessage(parsing: $0.content.bytes).payload }
    #expect(answers.suffix(2) == [[], Array(Self.secrets[2].utf8)])
    #expect(!seen.relayLog.isEmpty && seen.gatewayLog.contains { $0.contains("commandHeld") })
    for secret in Self.secrets { #expect(seen.places(of: secret) == []) }
    for text in Self.open { #expect(seen.places(of: text) == ["relay", "gateway"]) }
  }

  @Test("The search finds what is spelt in hexadecimal or base64, wherever in it", arguments: 0..<7) func search(
    _ before: Int
  ) {
    let text = Self.secrets[0]
    let bytes = [UInt8](repeating: 7, count: before) + Array(text.utf8) + [9, 9]
    let spellings = [bytes.hex, bytes.hex.uppercased(), Data(bytes).base64EncodedString(), "\(bytes)"]
    for spelling in spellings + [String(decoding: bytes, as: UTF8.self)] {
      #expect(Evidence(relay: [Array(spelling.utf8)]).places(of: text) == ["relay"], "\(spelling)")
      #expect(Evidence(relay: [Array(spelling.dropLast(12).utf8)]).places(of: text + "x") == [])
    }
  }

  // MARK: The relay and its clients

  private func server(
    _ group: MatrixGroup, _ store: JournaledStore, _ log: LogBox
  ) async throws -> (server: RelayServer, urls: [RelayURL]) {
    var core = try RelayCore(
      try #require(RelayIdentity(try group["relay"])), oracle: try group["oracle"].public, store: store)
    #expect(core.accept(accessList: try group.accessList(group.oracle, sequence: 1), now: MatrixGroup.now).code == 68)
    let configuration = RelayServerConfiguration(listen: [RelayURL(scheme: .tcp, host: "127.0.0.1", port: 0)])
    let server = try RelayServer(
      configuration, core: core, metrics: RelayMetrics(NOOPMetricsHandler.instance),
      logger: Logger(label: "relay") { _ in LogBox.Handler(box: log) }, group: MultiThreadedEventLoopGroup.singleton,
      clock: { MatrixGroup.now })
    return (server, try await server.start())
  }

  private func client(
    _ name: String, serving nodes: [String], _ group: MatrixGroup, _ url: RelayURL
  ) throws -> (client: RelayClient, events: AsyncStream<RelayClientEvent>) {
    let configuration = RelayClientConfiguration(
      relays: [.init(url: url, address: try group.address("relay"))], identity: try group[name],
      serving: try nodes.map { try group.address($0) })
    let (events, input) = AsyncStream.makeStream(of: RelayClientEvent.self)
    let client = RelayClient(
      configuration, group: MultiThreadedEventLoopGroup.singleton, clock: { MatrixGroup.now },
      receive: { input.yield($0) })
    client.start()
    return (client, events)
  }

  private func submit(
    _ envelopes: [[UInt8]], as name: String, _ group: MatrixGroup, _ url: RelayURL, isRefused: Bool = false
  ) async throws {
    let (client, events) = try client(name, serving: [], group, url)
    for (index, bytes) in envelopes.enumerated() { client.submit(bytes, number: UInt64(index + 1)) }
    var answers = 0
    for await case .answered(_, let answer) in events {
      #expect((answer != .custody) == isRefused)
      answers += 1
      if answers == envelopes.count { break }
    }
    await client.stop()
  }

  private func collect(
    _ count: Int, as name: String, serving nodes: [String], _ group: MatrixGroup, _ url: RelayURL
  ) async throws -> [[UInt8]] {
    let (client, events) = try client(name, serving: nodes, group, url)
    var bytes: [[UInt8]] = []
    for await case .delivery(let delivery) in events {
      bytes.append(delivery.bytes)
      delivery.answer(.taken)
      if bytes.count == count { break }
    }
    await client.stop()
    return bytes
  }
}

/// Everything that was stored and logged.
struct Evidence {
  var relay: [[UInt8]] = []
  var relayLog: [String] = []
  var gateway: [[UInt8]] = []
  var gatewayLog: [String] = []

  /// Where a text is found, in any spelling.
  func places(of text: String) -> [String] {
    let spellings = Self.spellings(Array(text.utf8))
    func holds(_ files: [[UInt8]]) -> Bool {
      files.contains { file in spellings.contains { Data(file).range(of: Data($0)) != nil } }
    }
    let all = [
      ("relay", relay), ("relay's log", relayLog.map { Array($0.utf8) }), ("gateway", gateway),
      ("gateway's log", gatewayLog.map { Array($0.utf8) }),
    ]
    return all.filter { holds($0.1) }.map(\.0)
  }

  /// As it is, as hexadecimal, as decimal numbers, and as base64 at each of the three places that it may begin at.
  private static func spellings(_ bytes: [UInt8]) -> [[UInt8]] {
    var texts = [bytes.hex, bytes.hex.uppercased(), bytes.map { "\($0)" }.joined(separator: ", ")]
    for offset in 0..<3 {
      let whole = Data([UInt8](repeating: 0, count: offset) + bytes).base64EncodedString()
      // Characters that depend on what stands before and behind are left out.
      let start = (offset * 8 + 5) / 6
      let length = (offset + bytes.count) * 8 / 6 - start
      texts.append(String(whole.dropFirst(start).prefix(length)))
    }
    return [bytes] + texts.map { Array($0.utf8) }
  }
}

/// A folder of its own, removed with it.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-matrix-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// All bytes of all files.
  func contents() throws -> [[UInt8]] {
    let files = try FileManager.default.contentsOfDirectory(atPath: path)
    return try files.map { try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(path)/\($0)"))) }
  }
}

/// Keeps what is logged, at every level.
final class LogBox: Sendable {
  private let kept = Mutex<[String]>([])

  var lines: [String] { kept.withLock { $0 } }

  struct Handler: LogHandler {
    let box: LogBox
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let line = "\(event.level) \(event.message) \(event.metadata ?? [:]) \(metadata)"
      box.kept.withLock { $0.append(line) }
    }
  }
}
