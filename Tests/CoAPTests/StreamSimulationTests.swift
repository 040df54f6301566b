import CoAP
import TestSupport
import Testing
import Wire

/// Two ends with a byte stream in either direction between them, which delays and cuts as it likes, all from one seed.
private struct StreamSimulation {
  enum Event {
    case arrival([UInt8], at: Int)
    case answer(Stream.ExchangeID, CoAPResponse, by: Int)
    case ask(by: Int)
    case cancel(Stream.RequestID, by: Int)
    case release(by: Int)
  }

  struct Asked: Hashable {
    var end: Int
    var id: Stream.RequestID
  }

  var generator: SeededGenerator
  var now = Instant.start
  var ends: [Stream]
  /// What has arrived and is no whole frame yet.
  var buffers: [[UInt8]] = [[], []]
  /// When the last bytes of either direction arrive: a stream keeps its order.
  var last: [Instant] = [.start, .start]
  var isOpen = [true, true]
  var events: [(time: Instant, order: Int, event: Event)] = []
  var order = 0
  var asked: [Asked: CoAPRequest] = [:]
  var ended: [Asked: Int] = [:]
  var completed = 0
  var wrong = 0
  var trace: [String] = []
  /// One answer in so many never comes.
  let forgetful: Int
  var isReleased = false

  init(seed: UInt64, sizes: [Int], requests: Int, forgetful: Int, releases: Bool) {
    generator = SeededGenerator(seed: seed)
    self.forgetful = forgetful
    ends = sizes.enumerated().map { end, size in
      connection(seed &* 2 &+ UInt64(end)) {
        $0.maximumMessageSize = size
        $0.blockwise.assembliesPerPeer = requests
        $0.blockwise.responsesPerPeer = requests
        $0.blockwise.assemblyBytes = 1 << 22
        $0.blockwise.responseBytes = 1 << 22
        $0.pingInterval = .seconds(20)
      }
    }
    for end in 0...1 {
      for _ in 0..<requests { schedule(.ask(by: end), in: generator.below(60_000)) }
    }
    if releases { schedule(.release(by: 0), in: 50_000) }
    for end in 0...1 {
      ends[end].start(at: now)
      handle(end)
    }
  }

  mutating func schedule(_ event: Event, in milliseconds: Int) {
    schedule(event, at: now.advanced(by: .milliseconds(milliseconds)))
  }

  mutating func schedule(_ event: Event, at time: Instant) {
    order += 1
    events.append((time, order, event))
  }

  /// Depends on the request alone.
  func answer(_ request: CoAPRequest) -> CoAPResponse {
    CoAPResponse(.changed, payload: request.payload.reversed() + request.payload.prefix(100))
  }

  mutating func handle(_ end: Int) {
    for output in ends[end].takeOutputs() {
      trace.append("\(now.microseconds) \(end) \(output.kind) \(output.frame?.count ?? 0)")
      switch output {
      case .transmit(let frame):
        last[end] = max(last[end], now.advanced(by: .milliseconds(generator.below(800))))
        let cut = generator.below(frame.count)
        if cut > 0 { schedule(.arrival(Array(frame.prefix(cut)), at: 1 - end), at: last[end]) }
        schedule(.arrival(Array(frame.dropFirst(cut)), at: 1 - end), at: last[end])
      case .request(let id, let request):
        guard !generator.oneIn(forgetful) else { break }
        schedule(.answer(id, answer(request), by: end), in: generator.below(4000))
      case .response(let id, let response):
        let key = Asked(end: end, id: id)
        ended[key, default: 0] += 1
        completed += 1
        // One that came in blocks has an ETag.
        let expected = asked[key].map { answer($0) }
        if expected?.payload != response.payload || expected?.code != response.code {
          wrong += 1
          trace.append("wrong: \(response.code) \(response.payload.count)")
        }
      case .failed(let id, _):
        let key = Asked(end: end, id: id)
        // One that wants no response may fail when it is sent.
        if asked[key] != nil { ended[key, default: 0] += 1 }
      case .close: isOpen[end] = false
      case .ready, .released, .dropped: break
      }
    }
    if !isOpen[end], isOpen[1 - end] {
      isOpen[1 - end] = false
      // What was sent before arrives first.
      last[end] = max(last[end], now)
      schedule(.arrival([], at: 1 - end), at: last[end])
    }
  }

  mutating func run() {
    while true {
      let event = events.indices.min { (events[$0].time, events[$0].order) < (events[$1].time, events[$1].order) }
      // Pings go on for ever; the simulation does not.
      guard event != nil || ends.contains(where: { ($0.openState != (0, 0) || isReleased) && !$0.isClosed }) else {
        return
      }
      let timers = (0...1).compactMap { end in ends[end].nextTimeout.map { (end: end, time: $0) } }
      if let timer = timers.min(by: { $0.time < $1.time }), event.map({ timer.time <= events[$0].time }) ?? true {
        now = max(now, timer.time)
        // An exchange that nobody answers stays, unless the connection ends.
        guard event != nil || isReleased || ends.contains(where: { $0.openState.operations > 0 }) else { return }
        ends[timer.end].timeout(at: now)
        handle(timer.end)
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
    case .arrival(let bytes, let end):
      guard !bytes.isEmpty else {
        ends[end].close(at: now)
        return handle(end)
      }
      var buffer = buffers[end] + bytes
      let maximum = ends[end].configuration.maximumMessageSize
      while let length = try? CoAPStreamFrame.length(of: buffer.rawSpan, maximum: maximum), length <= buffer.count {
        let frame = Array(buffer.prefix(length))
        buffer.removeFirst(length)
        ends[end].receive(frame.rawSpan, at: now)
      }
      buffers[end] = buffer
      handle(end)
    case .answer(let id, let response, let end):
      ends[end].respond(to: id, with: response, at: now)
      handle(end)
    case .ask(let end):
      let size = generator.oneIn(3) ? generator.below(20_000) : generator.below(200)
      var request = CoAPRequest(.post, path: ["e"], payload: generator.bytes(8) + streamBody(size, order))
      if generator.oneIn(10) { request.noResponse = 26 }
      let id = ends[end].request(request, at: now)
      if request.noResponse == nil { asked[Asked(end: end, id: id)] = request }
      if generator.oneIn(8) { schedule(.cancel(id, by: end), in: generator.below(3000)) }
      handle(end)
    case .cancel(let id, let end):
      ends[end].cancel(id, at: now)
      handle(end)
    case .release(let end):
      isReleased = true
      ends[end].release(at: now)
      handle(end)
    }
  }
}

@Suite struct StreamSimulationTests {
  @Test(
    "Both ends ask, answer, forget and change their minds at once: every request ends once, with its own answer",
    arguments: [
      (1, [66_048, 66_048], 1000, false), (2, [2000, 5000], 1000, false), (3, [1152, 1152], 1000, false),
      (4, [1152, 66_048], 4, false), (5, [700, 3000], 4, true), (6, [66_048, 2048], 10, true),
    ] as [(UInt64, [Int], Int, Bool)])
  func requestsEndOnce(seed: UInt64, sizes: [Int], forgetful: Int, releases: Bool) throws {
    var runs: [[String]] = []
    for _ in 0..<2 {
      var simulation = StreamSimulation(
        seed: seed, sizes: sizes, requests: 30, forgetful: forgetful, releases: releases)
      simulation.run()
      #expect(simulation.asked.keys.allSatisfy { simulation.ended[$0] == 1 })
      #expect(simulation.ended.keys.allSatisfy { simulation.asked[$0] != nil })
      #expect(simulation.wrong == 0, "\(simulation.trace.filter { $0.hasPrefix("wrong") })")
      #expect(simulation.completed > (forgetful > 100 ? 40 : 15))
      for end in 0...1 {
        #expect(simulation.ends[end].openState.operations == 0)
        #expect(simulation.ends[end].isClosed == releases)
      }
      runs.append(simulation.trace)
    }
    // The same seed gives the same run.
    #expect(runs[0] == runs[1] && runs[0].count > 100)
  }
}
