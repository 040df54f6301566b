import Bridge
import Envelope
import Queue
import Testing
import Wire

@Suite struct EventTests {
  private static let secret = "nobody is at home"

  /// All events of a day on which only secrets are said, and how many of each kind there were.
  private func events(_ home: Home) throws -> [GatewayEvent] {
    let content = SignedEnvelope.Content(format: 0, bytes: Array(Self.secret.utf8))
    let record = try home.record(2) { record in
      let index = try #require(record.members.firstIndex { $0.name == "occupancy" })
      record.members[index].commanders = [try home.address("owner")]
    }
    let limits = QueueLimits(nodeQueue: Usage(messages: 2, bytes: 65_536))
    var gateway = try home.gateway(MemoryStore(), queues: limits)
    var events = gateway.deliver(try home.sealed(record), now: Home.start).events

    // Up: taken, replayed, readable, plain from the wrong and from the right device.
    let report = try home.envelope("occupancy", to: ["owner", "phone2"], 1, class: .confidential, content: content)
    var header = report.header
    header.sequence = 2
    let readable = try home.sign(header, content.bytes, with: try home["occupancy"])
    for request in [
      home.post(report.bytes), home.post(report.bytes), home.post(readable),
      try home.post(plain: Self.secret, from: "occupancy"), try home.post(plain: Self.secret, from: "rain"),
    ] { events += gateway.receive(request, now: Home.start).events }

    // Down: held, too weak, superseded, queue full, shown, confirmed, expired.
    for (sequence, topic, protection) in [
      (1, 7, EnvelopeClass.confidential), (2, 7, .confidential), (3, nil, .authOnly), (4, nil, .confidential),
      (5, nil, .confidential),
    ] as [(UInt64, UInt64?, EnvelopeClass)] {
      let command = try home.envelope(
        "owner", to: ["occupancy"], sequence, class: protection, extensions: EnvelopeExtensions(topic: topic),
        content: content)
      events += gateway.deliver(command.bytes, now: Home.start).events
    }
    events += gateway.receive(try home.get("occupancy"), now: Home.start).events
    events += gateway.receive(try home.get("occupancy", "done=2"), now: Home.start).events
    events += gateway.receive(try home.get("occupancy"), now: Home.later(61)).events

    // It was there all the time, for whom it was meant.
    var owner = try home.endpoint("owner", MemoryStore())
    #expect(owner.deliver(report.bytes, now: Home.start).delivery?.content == content)
    return events
  }

  @Test("No event of a gateway holds what was said, neither as text nor as bytes")
  func silent() throws {
    let events = try events(Home())
    let bytes = Array(Self.secret.utf8)
    for event in events {
      let text = "\(event)"
      #expect(!text.contains(Self.secret))
      #expect(!text.contains(bytes.hex))
      #expect(!text.contains(bytes.prefix(6).map(String.init).joined(separator: ", ")))
    }
    // The day had every kind of event.
    let kinds = Set(events.map { "\($0)".prefix { $0 != "(" } })
    #expect(
      kinds == [
        "accepted", "refused", "commandHeld", "downlinkRefused", "handed", "confirmed", "nothingHeld", "displaced",
        "expired", "peerRecord",
      ])
  }
}
