import Foundation
import Queue

/// Creates what is kept in.
struct NATSStreams: Sendable {
  private let streams: [NATSStreamConfiguration]

  init(_ configuration: NATSRelayStore.Configuration, _ names: NATSNames) {
    func stream(_ name: String, _ subject: String) -> NATSStreamConfiguration {
      NATSStreamConfiguration(name: name, subjects: [subject], numReplicas: configuration.replicas)
    }
    // Not a work queue: its messages would leave when a consumer acknowledges them, and that consumer would have to be
    // replicated, one for each mailbox. Here consumers may be lost, and whoever confirms a message removes it.
    var mail = stream(names.mail, names.prefix + ".mail.>")
    mail.discardNewPerSubject = true
    mail.maxMsgsPerSubject = configuration.limits.mailbox.messages
    mail.maxMsgs = configuration.limits.total.messages
    let overhead = configuration.limits.total.messages.multipliedReportingOverflow(by: 512)
    let bytes = configuration.limits.total.bytes.addingReportingOverflow(overhead.partialValue)
    mail.maxBytes = overhead.overflow || bytes.overflow ? -1 : bytes.partialValue
    mail.maxAge = configuration.maximumAge?.wholeNanoseconds ?? 0

    var seen = stream(names.seen, names.prefix + ".seen.>")
    seen.discard = "old"
    seen.maxAge = configuration.replayAge.wholeNanoseconds

    let counters = stream(names.counters, names.prefix + ".counter.>")

    // As NATS makes its buckets of keys and values.
    var values = stream(names.values, "$KV.\(names.prefix).>")
    values.maxMsgsPerSubject = 1
    values.allowRollupHdrs = true
    values.denyDelete = true
    streams = [mail, seen, counters, values]
  }

  /// Creates what is not there yet and changes what is different. Tries again until `deadline`, since a cluster that has
  /// just started has no leaders yet.
  func create(on link: NATSLink, until deadline: ContinuousClock.Instant? = nil) throws(StoreError) {
    for stream in streams {
      while true {
        do throws(StoreError) {
          try create(stream, on: link)
          break
        } catch {
          guard let deadline, deadline > .now, error.kind == .failed else { throw error }
          Thread.sleep(forTimeInterval: 0.1)
        }
      }
    }
  }

  private func create(_ stream: NATSStreamConfiguration, on link: NATSLink) throws(StoreError) {
    let request = NATSRequest(api: "STREAM.CREATE.\(stream.name)", stream)
    guard let failure = try link.parse(try link.request(request), of: request).error else { return }
    guard failure.errCode == NATSErrorCode.streamNameInUse else { throw failure.storeError(request.subject) }
    _ = try link.ask(NATSRequest(api: "STREAM.UPDATE.\(stream.name)", stream))
  }
}
