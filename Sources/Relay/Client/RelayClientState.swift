import CoAP
import Envelope
import NIOCore
import Wire

/// What a ``RelayClient`` knows, on its event loop.
final class RelayClientState {
  private struct Submission {
    var bytes: [UInt8]
    /// The relay that has it, by position; `nil` while none does.
    var link: Int?
  }

  private var configuration: RelayClientConfiguration
  private let eventLoop: any EventLoop
  private let clock: @Sendable () -> Instant
  private let receive: @Sendable (RelayClientEvent) -> Void
  private var links: [RelayLink] = []
  private var submissions: [UInt64: Submission] = [:]
  /// In the order in which they were submitted.
  private var waiting: [UInt64] = []
  private var chunks: Set<UInt64> = []
  private var retry: Scheduled<Void>?
  private var isRunning = false

  init(
    _ configuration: RelayClientConfiguration, _ eventLoop: any EventLoop, _ clock: @escaping @Sendable () -> Instant,
    _ receive: @escaping @Sendable (RelayClientEvent) -> Void
  ) {
    self.configuration = configuration
    self.eventLoop = eventLoop
    self.clock = clock
    self.receive = receive
  }

  func start() {
    guard !isRunning else { return }
    isRunning = true
    for (position, relay) in configuration.relays.enumerated() {
      let link = RelayLink(configuration, relay, eventLoop, clock) { [weak self] in self?.take($0, from: position) }
      links.append(link)
    }
    for link in links { link.start() }
  }

  func stop() {
    isRunning = false
    retry?.cancel()
    retry = nil
    for link in links { link.stop() }
    links.removeAll()
  }

  func replace(_ configuration: RelayClientConfiguration) {
    let wasRunning = isRunning
    stop()
    self.configuration = configuration
    for number in submissions.keys.sorted() where submissions[number]?.link != nil { again(number) }
    if wasRunning { start() }
  }

  func submit(_ bytes: [UInt8], _ number: UInt64) {
    guard isRunning, submissions[number] == nil else { return }
    submissions[number] = Submission(bytes: bytes, link: nil)
    waiting.append(number)
    pass()
  }

  func send(chunk bytes: [UInt8], _ number: UInt64?) {
    guard let link = links.first(where: { $0.isUp && $0.isWritable }) else {
      if let number { receive(.answered(number, .refused(code: RelayCode.serviceUnavailable, reason: nil))) }
      return
    }
    if let number { chunks.insert(number) }
    link.submit(bytes, number: number ?? 0, noResponse: number == nil)
  }

  func askHeld() { for link in links { link.askHeld() } }

  /// Gives what waits to the best relay.
  private func pass() {
    guard !waiting.isEmpty, let best = best() else { return }
    let numbers = waiting
    waiting.removeAll(keepingCapacity: true)
    for number in numbers {
      guard let bytes = submissions[number]?.bytes else { continue }
      submissions[number]?.link = best
      links[best].submit(bytes, number: number)
    }
  }

  private func isPenalised(_ link: RelayLink) -> Bool { link.penalisedUntil.map { $0 > clock() } ?? false }

  /// The first relay that is up and was not slow or full lately; one that was, if there is no other.
  private func best() -> Int? {
    let up = links.indices.filter { links[$0].isUp }
    return up.first { !isPenalised(links[$0]) } ?? up.first
  }

  private func take(_ report: RelayClientHandler.Report, from position: Int) {
    guard links.indices.contains(position) else { return }
    let link = links[position]
    switch report {
    case .up:
      receive(.up(link.relay.url))
      pass()
    case .down(let reason):
      // What it had goes to the next, in order.
      for number in submissions.keys.sorted() where submissions[number]?.link == position { again(number) }
      receive(.down(link.relay.url, reason))
      pass()
      // Relays of a cluster serve a client one at a time.
      if reason.contains(DropReason.sessionReplaced.name), links.contains(where: \.isUp) {
        link.standBy()
      } else {
        for other in links where other !== link { other.resume() }
      }
    case .released: penalise(position)
    case .held(let count): receive(.held(link.relay.url, count))
    case .delivery(let delivery): receive(.delivery(delivery))
    case .answered(let number, let response): answered(number, response, position)
    case .failed(let number):
      if chunks.remove(number) != nil {
        return receive(.answered(number, .refused(code: RelayCode.serviceUnavailable, reason: nil)))
      }
      guard submissions[number]?.link == position else { return }
      penalise(position)
      again(number)
      later()
    }
  }

  private func answered(_ number: UInt64, _ response: CoAPResponse, _ position: Int) {
    let answer =
      response.code.isSuccess
      ? RelayAnswer.custody
      : .refused(code: response.code.rawValue, reason: RelayClientHandler.reason(response))
    if chunks.remove(number) != nil { return receive(.answered(number, answer)) }
    // An answer that comes after the envelope went to another relay is as good.
    guard submissions[number] != nil else { return }
    switch response.code {
    case .tooManyRequests, .serviceUnavailable, .internalServerError, .unauthorized:
      guard submissions[number]?.link == position else { return }
      penalise(position)
      again(number)
      later()
    default:
      submissions[number] = nil
      receive(.answered(number, answer))
    }
  }

  private func again(_ number: UInt64) {
    submissions[number]?.link = nil
    let index = waiting.firstIndex { $0 > number } ?? waiting.endIndex
    waiting.insert(number, at: index)
  }

  private func penalise(_ position: Int) {
    links[position].penalisedUntil = clock().advanced(by: configuration.penalty)
  }

  /// Soon, but not at once: a relay without room has none a moment later either.
  private func later() {
    guard retry == nil, isRunning else { return }
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let hasOther = links.contains { $0.isUp && !isPenalised($0) }
    retry = eventLoop.scheduleTask(in: hasOther ? .milliseconds(10) : .seconds(1)) {
      bound.value.retry = nil
      bound.value.pass()
    }
  }
}
