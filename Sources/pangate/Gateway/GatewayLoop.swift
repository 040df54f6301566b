import BorderRouter
import Bridge
import Envelope
import Foundation
import IEEE802154
import IPv6
import Logging
import NIOPosix
import Queue
import Radio
import Relay
import Wire

/// What the gateway's loop does with each input. Everything that can change is here, and nothing else touches it.
struct GatewayLoop {
  let file: String
  let configuration: GatewayConfiguration
  let driver: any RadioDriver
  let metrics: GatewayMetrics
  let logger: Logger
  let input: AsyncStream<GatewayService.Input>.Continuation
  /// Made when the radio is open for the first time: only then is it known who the border router is.
  private(set) var home: Home?
  private var radio = RadioState()
  private var isOnAir = false
  private var isDraining = false
  private var timer: Task<Void, Never>?
  private var client: RelayClient?
  private var serving: [Address] = []
  /// Why each relay that is down is.
  private var relays: [RelayURL: String] = [:]
  private let started = Instant.now

  struct RadioState {
    var isUp = false
    var name = ""
    var capabilities: RadioCapabilities = []
    var lastError: String?
    var outages = 0
    var since: Instant?
  }

  init(
    file: String, configuration: GatewayConfiguration, driver: any RadioDriver, metrics: GatewayMetrics,
    logger: Logger, input: AsyncStream<GatewayService.Input>.Continuation
  ) {
    self.file = file
    self.configuration = configuration
    self.driver = driver
    self.metrics = metrics
    self.logger = logger
    self.input = input
  }

  /// False when it is time to end.
  mutating func take(_ next: GatewayService.Input) throws -> Bool {
    switch next {
    case .radio(.up(let description)): try radioUp(description)
    case .radio(.down(let error, let wait)): radioDown(error, wait)
    case .radio(.frame(let frame)):
      home?.receive(frame.bytes.rawSpan, metadata: frame.metadata)
    case .transmitted(let outcome):
      isOnAir = false
      home?.transmitted(outcome, now: .now)
    case .time: try home?.advance(to: .now)
    case .relay(let event): try take(event)
    case .control(let request, let reply): reply(try answer(request))
    case .reload: reload()
    case .drain: isDraining = true
    case .failed(let error): throw Failure.cannotStart("\(error)")
    }
    // The node is answered before its envelope travels on.
    act()
    try home?.pass(now: .now)
    act()
    try send()
    report()
    try schedule()
    return !(isDraining && !isOnAir && (home?.transmissions.isEmpty ?? true))
  }

  mutating func finish() {
    timer?.cancel()
    logger.info("stopped")
  }

  // MARK: Relays

  private mutating func take(_ event: RelayClientEvent) throws {
    switch event {
    case .up(let url):
      relays[url] = nil
      logger.notice("relay is up", metadata: ["relay": "\(url)"])
    case .down(let url, let reason):
      // Once for each reason, however often it is tried.
      if relays[url] != reason { logger.warning("relay is down: \(reason)", metadata: ["relay": "\(url)"]) }
      relays[url] = reason
    case .answered(let number, let answer): try home?.answered(number, answer, now: .now)
    case .held: break
    case .delivery(let delivery):
      guard let home else { return delivery.answer(.later(.queueUnavailable)) }
      switch home.deliver(delivery.bytes, now: .now) {
      case .taken: delivery.answer(.taken)
      case .refused(let reason): delivery.answer(.refused(reason))
      case .later(let reason): delivery.answer(.later(reason))
      }
    }
  }

  /// Gives the relays what is for them.
  private mutating func send() throws {
    guard let home, let client else { return }
    for chunk in home.takeChunks() { client.send(chunk: chunk, number: nil) }
    for message in try home.takeUplink() { client.submit(message.bytes, number: message.number) }
    // A new peer record may name other nodes.
    let serving = home.gateway.gateway.nodes.map(\.address)
    guard serving != self.serving else { return }
    self.serving = serving
    client.replace(try clientConfiguration(home))
  }

  private func clientConfiguration(_ home: Home) throws -> RelayClientConfiguration {
    guard case .network(let section) = configuration.relay else { throw Failure.cannotStart("no relay") }
    return try section.client(
      home.gateway.gateway.identity, serving: home.gateway.gateway.nodes.map(\.address),
      directory: home.gateway.gateway.directory)
  }

  private mutating func connect(_ home: Home) throws {
    guard case .network = configuration.relay else { return }
    serving = home.gateway.gateway.nodes.map(\.address)
    let input = input
    let client = RelayClient(
      try clientConfiguration(home), group: MultiThreadedEventLoopGroup.singleton, clock: { .now },
      receive: { input.yield(.relay($0)) })
    self.client = client
    client.start()
  }

  // MARK: Radio

  private mutating func radioUp(_ description: RadioDescription) throws {
    let isFirst = home == nil
    if isFirst {
      let home = try makeHome(description)
      self.home = home
      try connect(home)
    }
    radio.isUp = true
    radio.name = description.name
    radio.capabilities = description.capabilities
    radio.since = .now
    logger.info(
      "radio is up",
      metadata: [
        "radio": "\(driver.url)", "name": "\(description.name)",
        "capabilities": "\(description.capabilities.names.joined(separator: ", "))",
      ])
    isOnAir = false
    home?.radioStarted(isFirst: isFirst, now: .now)
    if isFirst { try giveCommands() }
  }

  private mutating func radioDown(_ error: RadioError, _ wait: Duration) {
    if radio.isUp || radio.lastError != "\(error)" {
      logger.error("radio is down: \(error)", metadata: ["retry": "\(wait)"])
    }
    if radio.isUp { radio.outages += 1 }
    radio.isUp = false
    radio.lastError = "\(error)"
    radio.since = .now
  }

  private func makeHome(_ description: RadioDescription) throws -> Home {
    var pan = try configuration.pan(hardwareAddress: description.hardwareAddress) {
      try KeptPrefix.prefix(state: configuration.service.state)
    }
    pan.advertisementInterval = configuration.service.advertisementInterval
    var mac = configuration.mac(pan, capabilities: description.capabilities)
    mac.radio.extendedAddress = pan.extendedAddress
    let home = try Home(
      configuration, pan: pan, mac: mac, state: configuration.service.state, random: SystemRandomNumberGenerator(),
      now: .now)
    home.gateway.permitJoining(configuration.joining.isPermitted, admitted: configuration.joining.admitted)
    logger.info(
      "border router",
      metadata: [
        "eui64": "\(pan.extendedAddress)", "pan": "\(pan.panID)", "prefix": "\(pan.prefix.map { "\($0)" } ?? "none")",
        "nodes": "\(home.gateway.gateway.nodes.count)", "epoch": "\(home.directory.record.version.epoch)",
      ])
    return home
  }

  private mutating func giveCommands() throws {
    for (index, text) in configuration.commands.enumerated() {
      guard let command = CommandText(text) else {
        throw Failure.cannotStart("'\(text)' is no command: write NAME: PUT /path value")
      }
      _ = try home?.command(command, label: "\(index) \(command)", now: .now)
    }
  }

  /// Hands the radio what the home wants sent, one frame at a time.
  private mutating func act() {
    guard let home, radio.isUp else { return }
    if let devices = home.takeSourceMatch() {
      let (driver, logger) = (driver, logger)
      Task {
        do { try await driver.setSourceMatch(devices) } catch { logger.warning("source match: \(error)") }
      }
    }
    guard !isOnAir, let psdu = home.takeTransmission() else { return }
    isOnAir = true
    let (driver, input) = (driver, input)
    Task { input.yield(.transmitted(await driver.transmit(psdu))) }
  }

  // MARK: Time

  private mutating func schedule() throws {
    timer?.cancel()
    timer = nil
    guard let due = try home?.nextTimeout() else { return }
    let wait = max(.zero, Instant.now.duration(to: due))
    let input = input
    timer = Task {
      try? await Task.sleep(for: wait)
      if !Task.isCancelled { input.yield(.time) }
    }
  }

  // MARK: People

  private mutating func report() {
    guard let home else { return }
    for record in home.takeRecords() {
      metrics.count(record)
      let line = record.cells.filter { !$0.isEmpty }.joined(separator: " ")
      switch record.event {
      case .delivered(let message):
        // No log holds what was said; who wants to see it in a demonstration gets it on standard output.
        logger.info(
          "delivered \(message.from) owner \(message.class.name) \(message.content.bytes.count) seq \(message.sequence)"
        )
        if configuration.printsDeliveries {
          FileHandle.standardOutput.write(Data((line + "\n").utf8))
        }
      // Never above debug for what anybody in radio range can cause at will.
      case .dropped: logger.debug("\(line)")
      case .gateway(.refused), .gateway(.nothingHeld): logger.debug("\(line)")
      default: logger.info("\(line)")
      }
    }
    metrics.update(home, radio: driver.statistics, isUp: radio.isUp)
  }

  private mutating func reload() {
    do {
      let new = try GatewayConfiguration.load(file)
      home?.gateway.permitJoining(new.joining.isPermitted, admitted: new.joining.admitted)
      home?.gateway.gateway.limits = new.limits
      logger.info("configuration read again: limits and joining")
    } catch { logger.error("configuration not read again: \(error)") }
  }

  private mutating func answer(_ request: ControlRequest) throws -> ControlReply {
    switch request {
    case .status: return .status(status())
    case .relayStatus, .backup: return .error("this is a gateway: ask the relay")
    case .send(let text):
      guard let home, home.hasOwner else {
        return .error("this gateway has no owner in its process ('demo.owner')")
      }
      guard let command = CommandText(text) else {
        return .error("'\(text)' is no command: write NAME: PUT /path value, for example 'lock: PUT /lock open'")
      }
      do {
        let label = "control \(UUID().uuidString)"
        guard let sequence = try home.command(command, label: label, now: .now) else { return .error("not given") }
        return .sent(sequence: sequence)
      } catch let error as CommandError { return .error("\(error)") }
    }
  }

  private mutating func status() -> GatewayStatus {
    GatewayStatus(
      home: home, radio: radio, url: "\(driver.url)", statistics: driver.statistics, started: started, now: .now)
  }
}
