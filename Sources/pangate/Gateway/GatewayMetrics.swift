import BorderRouter
import Bridge
import Envelope
import Metrics
import Queue
import Radio
import Wire

/// What a gateway tells Prometheus. Names and labels hold no payload and nobody's name but the oracle's for its members.
final class GatewayMetrics: Sendable {
  private let factory: any MetricsFactory

  init(_ factory: any MetricsFactory) { self.factory = factory }

  private func increment(_ name: String, _ dimensions: [(String, String)] = []) {
    Counter(label: "pangate_" + name, dimensions: dimensions, factory: factory).increment()
  }

  private func set(_ name: String, _ value: some BinaryInteger, _ dimensions: [(String, String)] = []) {
    Meter(label: "pangate_" + name, dimensions: dimensions, factory: factory).set(Int64(value))
  }

  /// Counts one thing that happened.
  func count(_ record: HomeRecord) {
    switch record.event {
    case .gateway(let event): count(event)
    case .commandGiven: increment("commands_given_total")
    case .delivered: increment("owner_deliveries_total")
    case .ownerRefused(let reason): increment("owner_refusals_total", [("reason", reason.name)])
    case .relayRefused(let reason, _, _): increment("relay_refusals_total", [("reason", reason.name)])
    case .dropped(let reason): increment("dropped_total", [("reason", reason.name)])
    }
  }

  private func count(_ event: GatewayEvent) {
    switch event {
    case .accepted(let report): increment("envelopes_accepted_total", [("class", report.class.name)])
    case .refused(let refusal): increment("envelopes_refused_total", [("reason", refusal.reason.name)])
    case .downlinkRefused(let refusal): increment("downlink_refused_total", [("reason", refusal.reason.name)])
    case .commandHeld: increment("commands_held_total")
    case .handed, .exchanging: increment("commands_handed_total")
    case .confirmed, .exchanged: increment("commands_confirmed_total")
    case .exchangeFailed(_, let reason): increment("commands_failed_total", [("reason", reason.name)])
    case .displaced(_, let reason): increment("commands_displaced_total", [("reason", reason.name)])
    case .expired: increment("commands_expired_total")
    case .nothingHeld: increment("polls_in_vain_total")
    case .registered, .deregistered, .peerRecord: break
    }
  }

  /// Sets what is so now.
  func update(_ home: Home, radio: RadioStatistics, isUp: Bool) {
    set("radio_up", isUp ? 1 : 0)
    set("radio_frames_received", radio.received)
    set("radio_frames_transmitted", radio.transmitted)
    set("radio_retransmissions", radio.retransmissions)
    set("radio_not_acknowledged", radio.noAcknowledgment)
    set("radio_malformed", radio.malformed)
    set("radio_overruns", radio.overruns)
    set("radio_resets", radio.resets)
    let mac = home.gateway.mac.statistics
    set("mac_frames_queued", mac.queued)
    set("mac_frames_indirect", mac.indirectPending)
    set("neighbors", home.gateway.stack.neighbors.entries.count)
    if let usage = try? home.gateway.gateway.outboxUsage() {
      set("outbox_messages", usage.messages)
      set("outbox_bytes", usage.bytes)
    }
  }
}
