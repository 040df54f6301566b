import CoAP
import TestSupport
import Testing
import Wire

/// Clients and one server with a network between them that loses, doubles, delays and reorders, all from one seed.
private struct Simulation {
  enum Event {
    case arrival([UInt8], from: String, to: String)
    case answer(ExchangeID<String>, CoAPResponse)
    case ask(client: Int)
  }

  var generator: SeededGenerator
  var loss: Int
  var now = Instant.start
  var endpoints: [String: Endpoint] = [:]
  var events: [(time: Instant, order: Int, event: Event)] = []
  var order = 0
  var trace: [String] = []

  /// Names of requests are unique for one endpoint.
  struct Asked: Hashable {
    var client: String
    var id: RequestID<String>
  }

  var asked: [Asked: CoAPRequest] = [:]
  var ended: [Asked: Int] = [:]
  var completed = 0
  var failed = 0
  var processed: [[UInt8]: Int] = [:]
  var wrong = 0

  let names: [String]

  init(seed: UInt64, loss: Int, clients: Int, requests: Int, szx: UInt8) {
    generator = SeededGenerator(seed: seed)
    self.loss = loss
    names = (0..<clients).map { "client \($0)" }
    var blockwise = BlockwiseConfiguration()
    blockwise.preferredSZX = szx
    blockwise.assembliesPerPeer = requests
    blockwise.responsesPerPeer = requests
    var configuration = ExchangeConfiguration()
    configuration.limits.receivedPerPeer = 1000
    for name in names + ["server"] {
      endpoints[name] = Endpoint(
        configuration: configuration, blockwise: blockwise, random: SeededGenerator(seed: generator.next()))
    }
    for client in 0..<clients {
      for _ in 0..<requests { schedule(.ask(client: client), in: Double(generator.below(30_000)) / 1000) }
    }
  }

  mutating func schedule(_ event: Event, in seconds: Double) {
    order += 1
    events.append((now.advanced(by: .microseconds(Int64(seconds * 1_000_000))), order, event))
  }

  /// The server's answer depends on the request alone.
  func answer(_ request: CoAPRequest) -> CoAPResponse {
    let reply = Array(request.payload.reversed()) + request.payload
    return CoAPResponse(.changed, payload: Array(reply.prefix(request.payload.count * 3 / 2)))
  }

  mutating func handle(_ name: String) {
    for output in endpoints[name]?.takeOutputs() ?? [] {
      switch output {
      case .transmit(let datagram, let peer):
        trace.append("\(now.microseconds) \(name) \(datagram.hex)")
        let copies = generator.below(100) < loss ? 0 : generator.oneIn(8) ? 2 : 1
        for _ in 0..<copies {
          schedule(
            .arrival(datagram, from: name, to: peer),
            in: Double(generator.below(generator.oneIn(10) ? 4000 : 200)) / 1000)
        }
      case .request(let id, let request):
        processed[request.payload, default: 0] += 1
        schedule(.answer(id, answer(request)), in: Double(generator.below(2000)) / 1000)
      case .response(let id, let response):
        ended[Asked(client: name, id: id), default: 0] += 1
        completed += 1
        guard let request = asked[Asked(client: name, id: id)] else {
          wrong += 1
          continue
        }
        if response.payload != answer(request).payload || processed[request.payload] != 1 {
          wrong += 1
          trace.append("wrong: \(response)")
        }
      case .failed(let id, _):
        ended[Asked(client: name, id: id), default: 0] += 1
        failed += 1
      case .pong, .responseFailed, .dropped: break
      }
    }
  }

  mutating func run() {
    while true {
      let event = events.indices.min {
        (events[$0].time, events[$0].order) < (events[$1].time, events[$1].order)
      }
      let timers = (names + ["server"]).compactMap { name in
        endpoints[name]?.nextTimeout.map { (name: name, time: $0) }
      }
      let timer = timers.min { $0.time < $1.time }
      if let timer, event.map({ timer.time <= events[$0].time }) ?? true {
        now = max(now, timer.time)
        endpoints[timer.name]?.timeout(at: now)
        handle(timer.name)
      } else if let event {
        let (time, _, what) = events.remove(at: event)
        now = max(now, time)
        perform(what)
      } else {
        return
      }
    }
  }

  private mutating func perform(_ event: Event) {
    switch event {
    case .arrival(let datagram, let source, let destination):
      endpoints[destination]?.receive(datagram.rawSpan, from: source, at: now)
      handle(destination)
    case .answer(let id, let response):
      endpoints["server"]?.respond(to: id, with: response, at: now)
      handle("server")
    case .ask(let client):
      let payload = generator.bytes(8) + generator.bytes(in: 0...(generator.oneIn(3) ? 400 : 20))
      let request = CoAPRequest(.post, path: ["e"], payload: payload)
      guard let id = endpoints[names[client]]?.request(request, to: "server", at: now) else { return }
      asked[Asked(client: names[client], id: id)] = request
      handle(names[client])
    }
  }
}

@Suite struct SimulationTests {
  @Test(
    "Under loss, duplication and reordering every request ends once and is processed at most once",
    arguments: [
      (1, 0, 6), (2, 5, 6), (3, 20, 6), (4, 20, 2), (5, 40, 2), (6, 60, 1), (7, 95, 6), (8, 100, 6),
    ]
      as [(UInt64, Int, UInt8)])
  func requestsEndOnce(seed: UInt64, loss: Int, szx: UInt8) throws {
    var simulation = Simulation(seed: seed, loss: loss, clients: 3, requests: 12, szx: szx)
    simulation.run()
    #expect(simulation.asked.count == 36)
    #expect(simulation.asked.keys.allSatisfy { simulation.ended[$0] == 1 } && simulation.ended.count == 36)
    #expect(simulation.completed + simulation.failed == 36)
    // What was processed was asked, whole, and once.
    #expect(simulation.processed.values.allSatisfy { $0 == 1 })
    let payloads = Set(simulation.asked.values.map(\.payload))
    #expect(payloads.isSuperset(of: simulation.processed.keys))
    // A completed request was processed and has its own answer.
    #expect(simulation.wrong == 0, "\(simulation.trace.filter { $0.hasPrefix("wrong") })")
    if loss == 0 { #expect(simulation.completed == 36) }
    if loss <= 20 { #expect(simulation.completed >= 33) }
    if loss == 100 { #expect(simulation.failed == 36 && simulation.processed.isEmpty) }
    // In the end nothing is left.
    for endpoint in simulation.endpoints.values {
      #expect(endpoint.openState == (0, 0) && endpoint.nextTimeout == nil)
    }
  }

  @Test("The same seed gives the same run, byte for byte") func deterministic() {
    var runs: [[String]] = []
    for _ in 0..<2 {
      var simulation = Simulation(seed: 99, loss: 30, clients: 3, requests: 5, szx: 2)
      simulation.run()
      runs.append(simulation.trace)
    }
    #expect(runs[0] == runs[1] && runs[0].count > 100)
  }
}
