import ArgumentParser
import BorderRouter
import CoAP
import Envelope
import Foundation
import IEEE802154
import Node
import Radio
import UnixSignals
import Wire

/// `pangate node`: a reference device.
struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node",
    abstract: "Be a constrained device: join, register, report, obey; the example for device makers.",
    discussion: """
      What its traffic needs, who reads it and who commands it is in the peer record. Each line says what the device did,
      and what it cost: frames and bytes on the air, acknowledgments of frames not counted.

      EXAMPLES
        pangate node --kind rain --radio zep://127.0.0.1:17754 --identity rain.pem --oracle oracle.pem \\
          --peer-record signed/peer-record-rain.cose --pan 0xabcd --channel 15
        pangate node --kind lock --radio linux:wpan1 --identity lock.pem --oracle oracle.pem \\
          --peer-record signed/peer-record-lock.cose --pan 0xabcd --channel 15 --state lock-state --every 3600

      \(Exit.help)
      """)

  @Option(help: "What it is: lock, thermostat, occupancy, rain, temperature, camera.") var kind: NodeKind
  @Option(help: "Its radio: linux:INTERFACE, spinel:DEVICE, or zep://ADDRESS:PORT of the gateway.") var radio: String
  @Option(help: "Its identity file.") var identity: String
  @Option(help: "The oracle's certificate.") var oracle: String
  @Option(help: "The peer record that the oracle has signed for it.") var peerRecord: String
  @Option(help: "Where it keeps what must survive a reset; its flash.") var state: String = "node-state"
  @Option(help: "The PAN's identifier.") var pan: String
  @Option(help: "The channel.") var channel: UInt8
  @Option(help: "Seconds between reports.") var every = 60
  @Option(help: "Seconds between questions for held commands.") var poll = 30
  @Option(help: "Seconds between data requests of its radio, which is off in between; without it, it listens always.")
  var sleep: Int?
  @Flag(
    help: "Do without OSCORE to the gateway where the peer record does not demand it: fewer bytes, less protection.")
  var plainHop = false
  @Option(help: "Of a camera: bits a second of a stream, which 'PUT /stream SECONDS' begins.") var rate = 20_000
  @Option(help: ArgumentHelp("Readings of so many bytes, for measurements.", visibility: .hidden)) var payloadBytes:
    Int?
  @Option(help: "End after so many reports were taken.") var count: Int?
  @Flag(help: "As JSON, one object a line.") var json = false

  func run() async throws {
    let url = try radioURL(radio)
    let driver = RadioDrivers.make(try url.ofNode())
    let identity = try IdentityFiles.identity(identity)
    let oracle = try IdentityFiles.publicIdentity(oracle)
    let directory = try PeerRecordFile.directory(peerRecord, for: identity, oracle: oracle)
    guard let member = directory.member(identity.address), member.roles.contains(.node) else {
      throw Failure.cannotStart("\(peerRecord): does not name \(self.identity) as a node")
    }
    guard let eui64 = member.eui64 else {
      throw Failure.cannotStart("\(peerRecord): gives \(member.name) no EUI-64: 'pangate oracle admit ... --eui64'")
    }
    guard let panID = UInt16(pan.hasPrefix("0x") ? String(pan.dropFirst(2)) : pan, radix: pan.hasPrefix("0x") ? 16 : 10)
    else { throw Failure.usage("--pan \(pan): expected a number like 0xabcd") }
    var configuration = NodeConfiguration(
      extendedAddress: ExtendedAddress(eui64), panID: PANIdentifier(panID), channel: channel)
    if let sleep {
      var schedule = SleepSchedule()
      schedule.pollInterval = .seconds(sleep)
      configuration.sleep = schedule
    }
    var flash = try NodeFlash(state)
    let memory = try flash.read()
    let stack = NodeStack(
      configuration: configuration, security: try security(identity, member, directory, memory.security),
      random: SystemRandomNumberGenerator())
    let settings = stack.radioSettings
    let (inputs, input) = AsyncStream.makeStream(of: NodeLoop<AnyDevice>.Input.self)
    let supervisor = RadioSupervisor(driver, settings: settings) { input.yield(.radio($0)) }
    let radioTask = Task {
      do throws(RadioError) { try await supervisor.run() } catch {
        note("pangate: \(error)")
        input.yield(.stop)
      }
    }
    let signals = Task {
      for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { input.yield(.stop) }
    }
    let every = max(1, every)
    let ticks = Task {
      while !Task.isCancelled {
        input.yield(.report)
        try? await Task.sleep(for: .seconds(every))
      }
    }
    let interval = Duration.seconds(Double(AnyDevice.chunkLength * 8) / Double(max(100, rate)))
    let pictures = Task {
      guard kind == .camera else { return }
      while !Task.isCancelled {
        try? await Task.sleep(for: interval)
        input.yield(.picture)
      }
    }
    defer {
      ticks.cancel()
      pictures.cancel()
      signals.cancel()
      radioTask.cancel()
    }
    var behavior = AnyDevice(
      kind, member: member, directory: directory, oracle: oracle, identity: identity, memory: memory.envelopes,
      pollInterval: .seconds(max(1, poll)))
    behavior.streamRate = max(100, rate)
    behavior.payloadBytes = payloadBytes
    var loop = NodeLoop(driver: driver, device: Device(stack: stack, behavior: behavior), input: input)
    var report = NodeReport(name: member.name, kind: kind, json: json)
    report.begin(behavior.protection)
    for await next in inputs {
      if case .stop = next { break }
      if case .report = next { loop.perform { $0.report() } }
      if case .picture = next { loop.perform { $0.tick() } }
      let events = loop.take(next)
      // What follows from it leaves after it is kept.
      try flash.write(
        NodeMemory(envelopes: loop.behavior.memory ?? EnvelopeMemory(), security: loop.security ?? NodeSecurityMemory())
      )
      report.show(events, loop.behavior, loop.traffic, isRegistered: loop.addresses.contains { $0.isUsable(at: .now) })
      loop.act()
      if let count, report.reports >= count { break }
    }
    radioTask.cancel()
    await driver.close()
  }

  /// OSCORE to the gateway, with keys that EDHOC agrees on; `nil` for a device of no consequence, and where it is not wanted.
  private func security(
    _ identity: Identity, _ member: Member, _ directory: PeerDirectory, _ memory: NodeSecurityMemory
  ) throws -> NodeSecurity? {
    let isDemanded = member.class == .authOnly && member.traits.contains(.vouched)
    guard isDemanded || (member.class != .noConsequence && !plainHop) else { return nil }
    guard let gateway = member.gateway.flatMap(directory.member) else {
      throw Failure.cannotStart("\(peerRecord): does not say which gateway hosts \(member.name)")
    }
    let configuration = NodeSecurityConfiguration(
      identity: identity, gateway: gateway, peers: member.commanders.compactMap(directory.member))
    return NodeSecurity(configuration, memory: memory, random: SystemRandomNumberGenerator())
  }
}

extension RadioURL {
  /// The same medium from a node's end.
  func ofNode() throws -> RadioURL {
    guard case .zep = target else { return self }
    return try radioURL("zep+peer" + description.drop { $0 != ":" })
  }
}
