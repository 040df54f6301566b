import Bridge
import CoAP
import Envelope
import Queue
import Testing
import Wire

/// Commands that the gateway takes to nodes which do not fetch them.
@Suite struct ExchangeTests {
  // MARK: A plain CoAP server

  @Test("A command becomes a request, and the response an envelope on the node's behalf that its commander accepts")
  func exchange() throws {
    var served = try ServedHome()
    var gateway = try served.gateway(MemoryStore())
    let text = "thermostat: PUT /set/point?unit=c 20.5"
    let command = try served.command(text)
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    let thermostat = try node("thermostat", gateway)
    let (next, events) = try gateway.nextExchange(with: thermostat, now: Home.start)
    let exchange = try #require(next)
    #expect(exchange.kind == .request && exchange.isIdempotent)
    #expect(exchange.eui64 == thermostat.eui64 && exchange.node.address == thermostat.address)
    #expect(exchange.request.code == .put && exchange.request.uriPath == ["set", "point"])
    #expect(exchange.request.uriQuery == ["unit=c"] && exchange.request.payload == Array("20.5".utf8))
    #expect(exchange.command.sequence == command.header.sequence && exchange.command.from == "owner")
    #expect(events == [.exchanging(exchange.command)])

    let response = CoAPResponse(.changed, contentFormat: .textPlain, eTag: [7], payload: Array("was 19".utf8))
    let finished = try gateway.finish(exchange, with: response, now: Home.later(1))
    let answer = try #require(try outbox(gateway).first)
    #expect(
      finished
        == [
          .exchanged(exchange.command, code: response.code.description, sequence: answer.header.sequence)
        ])
    #expect(answer.header.class == .authOnly)
    #expect(answer.header.extensions.inReplyTo == command.header.sequence)
    #expect(answer.header.extensions.answerHash == command.answerHash)
    #expect(answer.header.extensions.onBehalfOf == .full(thermostat.address))
    #expect(try gateway.queueUsage(of: thermostat) == Usage())

    let (custody, delivered) = served.owner.deliver(answer.bytes, now: Home.later(1))
    #expect(custody == .taken)
    let delivery = try #require(delivered)
    #expect(delivery.from == "thermostat" && delivery.vouchedBy == "gateway")
    #expect(delivery.answers == text && delivery.receipt == nil)
    #expect(delivery.content.format == ContentFormats.coapMessage)
    let message = try EncapsulatedMessage(parsing: delivery.content.bytes)
    #expect(message.code == response.code.rawValue && message.payload == response.payload)
    #expect(message.options == response.options.map { .init($0.number.rawValue, $0.value) })
    #expect(try gateway.nextExchange(with: thermostat, now: Home.later(1)).exchange == nil)
  }

  @Test("The response of another node does not answer a command")
  func foreignResponse() throws {
    var served = try ServedHome()
    let command = try served.command("thermostat: GET /target")
    let message = EncapsulatedMessage(code: CoAPCode.content.rawValue, options: [], payload: [1])
    for node in ["rain", "thermostat"] {
      let envelope = try served.home.envelope(
        "gateway", to: ["owner"], node == "rain" ? 1 : 2,
        extensions: EnvelopeExtensions(
          inReplyTo: command.header.sequence, answerHash: command.answerHash,
          onBehalfOf: .full(try served.home.address(node))),
        content: .init(format: ContentFormats.coapMessage, bytes: try message.cbor()))
      let delivery = served.owner.deliver(envelope.bytes, now: Home.start).delivery
      #expect(delivery?.from == node)
      #expect(delivery?.answers == (node == "rain" ? nil : "thermostat: GET /target"))
    }
  }

  @Test("Commands are exchanged in the order in which they were held, and one without an answer stays the first")
  func order() throws {
    var served = try ServedHome()
    let store = MemoryStore()
    var gateway = try served.gateway(store)
    for number in 1...4 {
      let command = try served.command("thermostat: PUT /target \(number)")
      #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    }
    let thermostat = try node("thermostat", gateway)
    for number in 1...4 {
      for attempt in 1...3 {
        let next = try gateway.nextExchange(with: thermostat, now: Home.start).exchange
        let exchange = try #require(next)
        #expect(exchange.request.payload == Array(String(number).utf8))
        #expect(try gateway.queueUsage(of: thermostat).messages == 5 - number)
        if attempt < 3 {
          #expect(try gateway.fail(exchange, now: Home.start) == [.exchangeFailed(exchange.command, .nodeUnreachable)])
        } else {
          #expect(try gateway.finish(exchange, with: CoAPResponse(.changed), now: Home.start).count == 1)
        }
        if attempt == 2 { gateway = try served.gateway(store) }
      }
    }
    #expect(try outbox(gateway).count == 4)
    let last = try gateway.nextExchange(with: thermostat, now: Home.start)
    #expect(last.exchange == nil && last.events.isEmpty)
  }

  @Test(
    "What was begun before a restart is sent again only if twice is the same as once",
    arguments: [
      (CoAPCode.get, true), (.put, true), (.delete, true), (.fetch, true), (.iPatch, true), (.post, false),
      (.patch, false),
    ])
  func restart(_ method: CoAPCode, _ isRepeated: Bool) throws {
    let served = try ServedHome()
    let store = MemoryStore()
    var gateway = try served.gateway(store)
    let path = EncapsulatedMessage.Option(CoAPOptionNumber.uriPath.rawValue, Array("step".utf8))
    let command = try served.command(.init(code: method.rawValue, options: [path], payload: [1]), 1)
    let second = try served.command(.init(code: method.rawValue, options: [path], payload: [2]), 2)
    for envelope in [command, second] {
      #expect(gateway.deliver(envelope.bytes, now: Home.start).custody == .taken)
    }
    let thermostat = try node("thermostat", gateway)
    let first = try gateway.nextExchange(with: thermostat, now: Home.start).exchange
    #expect(first?.isIdempotent == isRepeated && first?.request.payload == [1])

    gateway = try served.gateway(store)
    let (again, events) = try gateway.nextExchange(with: thermostat, now: Home.start)
    let exchange = try #require(again)
    if isRepeated {
      #expect(exchange.command == first?.command && events == [.exchanging(exchange.command)])
      #expect(try outbox(gateway).isEmpty)
      return
    }
    // It is not done again; the one behind it is.
    #expect(exchange.request.payload == [2])
    let begun = try #require(first)
    #expect(events == [.exchangeFailed(begun.command, .envelopeOutcomeUnknown), .exchanging(exchange.command)])
    #expect(try onlyReceipt(gateway, for: command) == .rejected(.envelopeOutcomeUnknown))
    #expect(gateway.counters[.envelopeOutcomeUnknown] == 1)
    // An answer that comes after all changes nothing.
    #expect(try gateway.finish(begun, with: CoAPResponse(.changed), now: Home.start).isEmpty)
    #expect(try gateway.queueUsage(of: thermostat).messages == 1)
  }

  @Test("A POST without an answer leaves the queue, and its commander learns that nobody knows")
  func unanswered() throws {
    var served = try ServedHome()
    var gateway = try served.gateway(MemoryStore())
    let command = try served.command("thermostat: POST /step up")
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    let thermostat = try node("thermostat", gateway)
    let next = try gateway.nextExchange(with: thermostat, now: Home.start).exchange
    let exchange = try #require(next)
    #expect(
      try gateway.fail(exchange, now: Home.later(1)) == [.exchangeFailed(exchange.command, .envelopeOutcomeUnknown)])
    #expect(try gateway.queueUsage(of: thermostat) == Usage())
    #expect(try onlyReceipt(gateway, for: command) == .rejected(.envelopeOutcomeUnknown))
    let envelope = try #require(try outbox(gateway).first)
    let delivery = served.owner.deliver(envelope.bytes, now: Home.later(1)).delivery
    #expect(delivery?.answers == "thermostat: POST /step up" && delivery?.from == "gateway")
    #expect(delivery?.receipt == .rejected(.envelopeOutcomeUnknown))
    // A second failure of the same is none.
    #expect(try gateway.fail(exchange, now: Home.later(1)).isEmpty)
    #expect(try outbox(gateway).count == 1)
  }

  @Test("What is no request for a plain server is rejected with a receipt, and does not block what is behind it")
  func unsupported() throws {
    let get = CoAPCode.get.rawValue
    var refused: [(SignedEnvelope.Content, DropReason)] = [
      (.init(format: 0, bytes: Array("on".utf8)), .unsupported),
      (.init(format: nil, bytes: Array("on".utf8)), .unsupported),
      (
        .init(
          format: ContentFormats.coapMessage, bytes: try EncapsulatedMessage(code: 69, options: [], payload: []).cbor()),
        .coapCodeClassReserved
      ),
      (
        .init(
          format: ContentFormats.coapMessage, bytes: try EncapsulatedMessage(code: 0, options: [], payload: []).cbor()),
        .coapCodeClassReserved
      ),
    ]
    for number in [
      CoAPOptionNumber.block1, .block2, .size1, .size2, .observe, .requestTag, .proxyUri, .proxyScheme,
    ] {
      let message = EncapsulatedMessage(code: get, options: [.init(number.rawValue, [1])], payload: [])
      refused.append((.init(format: ContentFormats.coapMessage, bytes: try message.cbor()), .unsupported))
    }
    for (content, expected) in refused {
      let served = try ServedHome()
      var gateway = try served.gateway(MemoryStore())
      let command = try served.home.envelope("owner", to: ["thermostat"], 1, content: content)
      let good = try served.command(.init(code: get, options: [], payload: []), 2)
      for envelope in [command, good] {
        #expect(gateway.deliver(envelope.bytes, now: Home.start).custody == .taken)
      }
      let (exchange, events) = try gateway.nextExchange(with: node("thermostat", gateway), now: Home.start)
      #expect(exchange?.command.sequence == 2)
      guard case .exchangeFailed(let failed, let reason) = events.first else {
        Issue.record("\(events)")
        continue
      }
      #expect(failed.sequence == 1 && reason == expected)
      #expect(try onlyReceipt(gateway, for: command) == .rejected(expected))
    }
  }

  @Test("Content that is not what it says is rejected with the reason why it cannot be read")
  func damaged() throws {
    let served = try ServedHome()
    var gateway = try served.gateway(MemoryStore())
    let command = try served.home.envelope(
      "owner", to: ["thermostat"], 1,
      content: .init(format: ContentFormats.coapMessage, bytes: [0x83, 1, 0x81, 11, 0x40]))
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    let thermostat = try node("thermostat", gateway)
    #expect(try gateway.nextExchange(with: thermostat, now: Home.start).exchange == nil)
    #expect(try gateway.queueUsage(of: thermostat) == Usage())
    #expect(try onlyReceipt(gateway, for: command) == .rejected(.envelopeStructure))
  }

  @Test("A command that expires or is withdrawn while its node is asked is answered for once")
  func meanwhile() throws {
    var served = try ServedHome()
    let command = try served.command("thermostat: GET /target")
    var gateway = try served.gateway(MemoryStore())
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    let thermostat = try node("thermostat", gateway)
    var next = try gateway.nextExchange(with: thermostat, now: Home.start).exchange
    var exchange = try #require(next)
    #expect(try gateway.expire(now: Home.later(62)) == [.expired(exchange.command, receiptTo: "owner")])
    #expect(try gateway.finish(exchange, with: CoAPResponse(.content), now: Home.later(62)).isEmpty)
    #expect(try gateway.fail(exchange, now: Home.later(62)).isEmpty)
    #expect(try onlyReceipt(gateway, for: command)?.outcome == .expired)

    gateway = try served.gateway(MemoryStore())
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    next = try gateway.nextExchange(with: thermostat, now: Home.start).exchange
    exchange = try #require(next)
    var record = served.record
    record.version.epoch = 3
    let index = try #require(record.members.firstIndex { $0.name == "thermostat" })
    record.members[index].commanders = []
    #expect(gateway.deliver(try served.home.sealed(record), now: Home.start).custody == .taken)
    #expect(try gateway.finish(exchange, with: CoAPResponse(.content), now: Home.start).isEmpty)
    #expect(try onlyReceipt(gateway, for: command) == .rejected(.envelopeNotAllowed))
  }

  @Test("A command that has expired is not exchanged any more")
  func expired() throws {
    var served = try ServedHome()
    var gateway = try served.gateway(MemoryStore())
    let command = try served.command("thermostat: PUT /target 1")
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    let (exchange, events) = try gateway.nextExchange(with: node("thermostat", gateway), now: Home.later(62))
    #expect(exchange == nil)
    guard case .expired(let expired, receiptTo: "owner") = events.first, events.count == 1 else {
      Issue.record("\(events)")
      return
    }
    #expect(expired.sequence == command.header.sequence)
    #expect(try onlyReceipt(gateway, for: command)?.outcome == .expired)
  }

  @Test("A response that no envelope can hold is told as a rejection")
  func large() throws {
    var served = try ServedHome()
    var gateway = try served.gateway(MemoryStore())
    gateway.limits.maximumEnvelope = 600
    let command = try served.command("thermostat: GET /log")
    #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
    let next = try gateway.nextExchange(with: node("thermostat", gateway), now: Home.start).exchange
    let exchange = try #require(next)
    let response = CoAPResponse(.content, payload: [UInt8](repeating: 1, count: 600))
    #expect(try gateway.finish(exchange, with: response, now: Home.start).count == 1)
    #expect(try onlyReceipt(gateway, for: command) == .rejected(.envelopeTooLarge))
  }

  @Test("Without room in the outbox the command stays, and its answer is taken when there is room")
  func fullOutbox() throws {
    var served = try ServedHome()
    var gateway = try served.gateway(
      MemoryStore(), queues: QueueLimits(outbox: Usage(messages: 1, bytes: 100_000)))
    let report = try served.home.envelope("lock", to: ["owner"], 1)
    #expect(gateway.receive(served.home.post(report.bytes), now: Home.start).response.code == .changed)
    for text in ["thermostat: GET /target", "thermostat: POST /step up"] {
      #expect(gateway.deliver(try served.command(text).bytes, now: Home.start).custody == .taken)
    }
    let thermostat = try node("thermostat", gateway)
    let next = try gateway.nextExchange(with: thermostat, now: Home.start).exchange
    let exchange = try #require(next)
    #expect(throws: StoreError.abandoned) {
      try gateway.finish(exchange, with: CoAPResponse(.content), now: Home.start)
    }
    #expect(try gateway.queueUsage(of: thermostat).messages == 2)
    #expect(try outbox(gateway).map(\.bytes) == [report.bytes])
    for held in try gateway.outbound(limit: .max) { try gateway.confirmOutbound(held.number) }
    #expect(try gateway.finish(exchange, with: CoAPResponse(.content), now: Home.start).count == 1)
    // Nor is one thrown away that can only be rejected.
    let post = try #require(try gateway.nextExchange(with: thermostat, now: Home.start).exchange)
    #expect(throws: StoreError.abandoned) { try gateway.fail(post, now: Home.start) }
    #expect(throws: StoreError.abandoned) { try gateway.nextExchange(with: thermostat, now: Home.start) }
    #expect(try gateway.queueUsage(of: thermostat).messages == 1)
  }

  @Test(
    "A power cut loses neither command nor answer, and no POST is done twice", arguments: MemoryStore.Moment.allCases)
  func powerCut(_ moment: MemoryStore.Moment) throws {
    var served = try ServedHome()
    let command = try served.command("thermostat: POST /step up")
    var cuts = 0
    while true {
      let store = MemoryStore()
      var gateway = try served.gateway(store)
      #expect(gateway.deliver(command.bytes, now: Home.start).custody == .taken)
      let thermostat = try node("thermostat", gateway)
      store.cutPower(afterWrites: cuts + 1, moment)
      var times = 0
      if let exchange = try? gateway.nextExchange(with: thermostat, now: Home.start).exchange {
        times += 1
        _ = try? gateway.finish(exchange, with: CoAPResponse(.changed), now: Home.start)
      }
      let wasCut = store.isPowerCut
      store.restart()
      gateway = try served.gateway(store)
      #expect(try gateway.queueUsage(of: thermostat).messages + gateway.outboxUsage().messages == 1)
      if let exchange = try gateway.nextExchange(with: thermostat, now: Home.start).exchange {
        times += 1
        _ = try gateway.finish(exchange, with: CoAPResponse(.changed), now: Home.start)
      }
      #expect(times <= 1)
      #expect(try gateway.queueUsage(of: thermostat) == Usage())
      #expect(try gateway.outboxUsage().messages == 1)
      guard wasCut else { break }
      cuts += 1
    }
    #expect(cuts > 2)
  }

  @Test("Only a CoAP server that its gateway vouches for is asked, or a confidential one, and that never in the clear")
  func who() throws {
    let changes: [((inout Member) -> Void, Bool)] = [
      ({ _ in }, true), ({ $0.traits.remove(.coapServer) }, false), ({ $0.traits.remove(.vouched) }, false),
      ({ $0.class = .confidential }, true), ({ $0.eui64 = nil }, false), ({ $0.gateway = nil }, false),
      ({ $0.traits.insert(.sleeps) }, true),
    ]
    for (change, isExchanged) in changes {
      let gateway = try ServedHome(change).gateway(MemoryStore())
      let thermostat = try #require(gateway.directory.member(named: "thermostat"))
      #expect(gateway.exchanges(with: thermostat) == isExchanged)
      #expect(gateway.isAsked(thermostat, now: Home.start) == isExchanged)
    }
  }
}
