import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

/// The power goes at every write that there is, at the commit after it, and right after that commit.
@Suite struct DurabilityTests {
  /// Calls `body` with a store whose power goes after 1, 2, 3... writes, until it does not go any more.
  ///
  /// `before` runs with power, `body` loses it, `restarted` has it again.
  private func atEveryWrite(
    _ moment: MemoryStore.Moment, before: (MemoryStore) throws -> Void = { _ in },
    _ body: (MemoryStore) throws -> Void, restarted: (MemoryStore, _ wasCut: Bool) throws -> Void
  ) throws {
    var cuts = 0
    while true {
      let store = MemoryStore()
      try before(store)
      store.cutPower(afterWrites: cuts + 1, moment)
      try body(store)
      let wasCut = store.isPowerCut
      store.restart()
      try restarted(store, wasCut)
      guard wasCut else { break }
      cuts += 1
    }
    #expect(cuts > 2)
  }

  /// What waits for the relay: a node's own envelope, or what a gateway says for it.
  private func outbox(_ gateway: Gateway<MemoryStore>) throws -> [[UInt8]] {
    try gateway.outbound(limit: .max).map { message in
      let envelope = try SignedEnvelope(parsing: message.bytes)
      return envelope.header.extensions.onBehalfOf == nil ? message.bytes : Array(envelope.payload)
    }
  }

  @Test(
    "What was answered 2.04 is in the outbox after a power cut; sent again, nothing is there twice",
    arguments: MemoryStore.Moment.allCases)
  func uplink(_ moment: MemoryStore.Moment) throws {
    let home = try Home()
    var script: [(request: NodeRequest, expected: [UInt8])] = []
    for number in 1...3 as ClosedRange<UInt8> {
      let envelope = try home.envelope("lock", to: ["owner"], UInt64(number)).bytes
      script.append((home.post(envelope), envelope))
      script.append((try home.post(plain: "reading \(number)", from: "rain", number), Array("reading \(number)".utf8)))
    }
    var promised: [[UInt8]] = []
    try atEveryWrite(moment) { store in
      promised = []
      var gateway = try home.gateway(store)
      for (request, expected) in script {
        let code = gateway.receive(request, now: Home.start).response.code
        #expect(code == .changed || (code == .serviceUnavailable && store.isPowerCut))
        if code == .changed { promised.append(expected) }
      }
    } restarted: { store, wasCut in
      var gateway = try home.gateway(store)
      let kept = try outbox(gateway)
      #expect(kept.starts(with: promised))
      // Besides there may be only what was stored when the answer was lost.
      #expect(kept.count <= promised.count + (moment == .afterCommit && wasCut ? 1 : 0))

      // Every node that has no answer sends again, and so do those whose answer was lost on the air.
      for (request, _) in script {
        #expect(gateway.receive(request, now: Home.later(5)).response.code == .changed)
      }
      #expect(try outbox(gateway) == script.map(\.expected))
      let numbers = try gateway.outbound(limit: .max).map { try SignedEnvelope(parsing: $0.bytes).header }
        .filter { $0.extensions.onBehalfOf != nil }.map(\.sequence)
      #expect(zip(numbers, numbers.dropFirst()).allSatisfy(<))
    }
  }

  @Test("A plain request again is told for 256 s at least, across a restart and a step of its key")
  func plainAgain() throws {
    let home = try Home()
    for offset in 0..<16 as Range<Int64> {
      let store = MemoryStore()
      let first = Home.later(offset * 16)
      let request = try home.post(plain: "21.5", from: "rain", 1)
      var gateway = try home.gateway(store)
      #expect(reason(gateway.receive(request, now: first).events) == nil)
      gateway = try home.gateway(store)
      let again = Instant(seconds: first.seconds + 256)
      #expect(reason(gateway.receive(request, now: again).events) == .coapDuplicate)
      // The same reading of another radio is another one, and much later so is this one.
      let other = try home.post(plain: "21.5", from: "temperature", 1)
      #expect(reason(gateway.receive(other, now: again).events) == nil)
      #expect(reason(gateway.receive(request, now: Instant(seconds: first.seconds + 512)).events) == nil)
      #expect(try gateway.outboxUsage().messages == 3)
    }
  }

  @Test(
    "A command that was taken is in its node's queue after a power cut; delivered again, it is there once",
    arguments: MemoryStore.Moment.allCases)
  func downlink(_ moment: MemoryStore.Moment) throws {
    let home = try Home()
    let commands = try (1...3).map { try home.envelope("owner", to: ["lock", "thermostat"], $0).bytes }
    var taken: [[UInt8]] = []
    try atEveryWrite(moment) { store in
      taken = []
      var gateway = try home.gateway(store)
      for command in commands {
        let custody = gateway.deliver(command, now: Home.start).custody
        #expect(custody == .taken || (custody == .later(.queueUnavailable) && store.isPowerCut))
        if custody == .taken { taken.append(command) }
      }
    } restarted: { store, wasCut in
      var gateway = try home.gateway(store)
      for name in ["lock", "thermostat"] {
        let node = try #require(gateway.nodes.first { $0.name == name })
        let held = try gateway.queueUsage(of: node).messages
        #expect(held >= taken.count && held <= taken.count + (moment == .afterCommit && wasCut ? 1 : 0))
      }
      for command in commands { #expect(gateway.deliver(command, now: Home.start).custody == .taken) }
      for name in ["lock", "thermostat"] {
        for (index, command) in commands.enumerated() {
          let answer = gateway.receive(try home.get(name, "done=\(index)"), now: Home.start)
          #expect(answer.response.payload == command)
        }
        #expect(gateway.receive(try home.get(name, "done=3"), now: Home.start).response.payload.isEmpty)
      }
    }
  }

  @Test(
    "A command leaves by expiry only together with the receipt that tells its sender",
    arguments: MemoryStore.Moment.allCases)
  func expiry(_ moment: MemoryStore.Moment) throws {
    let home = try Home()
    let commands = try (1...3).map { try home.envelope("owner", to: ["lock"], $0) }
    let hold: (MemoryStore) throws -> Void = { store in
      var gateway = try home.gateway(store)
      for command in commands { #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken) }
    }
    try atEveryWrite(moment, before: hold) { store in
      var gateway = try home.gateway(store)
      _ = try? gateway.expire(now: Home.later(61))
    } restarted: { store, _ in
      var gateway = try home.gateway(store)
      let lock = try #require(gateway.nodes.first { $0.name == "lock" })
      #expect(try gateway.queueUsage(of: lock).messages + gateway.outboxUsage().messages == commands.count)
      _ = try gateway.expire(now: Home.later(61))
      let answered = try gateway.outbound(limit: .max).map {
        try SignedEnvelope(parsing: $0.bytes).header.extensions
      }
      #expect(answered.map(\.inReplyTo) == commands.map(\.header.sequence))
      #expect(answered.map(\.answerHash) == commands.map(\.answerHash))
    }
  }

  @Test(
    "A command that was given a number is in the endpoint's outbox after a power cut; given again, it is there once",
    arguments: MemoryStore.Moment.allCases)
  func endpoint(_ moment: MemoryStore.Moment) throws {
    let home = try Home()
    let command = try #require(CommandText("lock: PUT /lock open"))
    let labels = ["a", "b", "c"]
    var given: [UInt64] = []
    try atEveryWrite(moment) { store in
      given = []
      var owner = try home.endpoint("owner", store)
      for label in labels {
        if let number = try? owner.command(command, label: label, now: Home.start) { given.append(number) }
      }
    } restarted: { store, _ in
      var owner = try home.endpoint("owner", store)
      let kept = try owner.outbound(limit: .max).map(\.seq)
      #expect(kept.starts(with: given))
      for label in labels { _ = try owner.command(command, label: label, now: Home.start) }
      let all = try owner.outbound(limit: .max).map(\.seq)
      #expect(all.count == labels.count && all.starts(with: kept))
      #expect(zip(all, all.dropFirst()).allSatisfy(<))
      for number in all { #expect(try owner.command(number) == command.description) }
    }
  }
}
