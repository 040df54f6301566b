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

  /// Creates what is not there yet and changes what is different, all at once.
  ///
  /// Throws ``StoreError/Kind/outdated`` for servers before NATS 2.10: killed, those of 2.9 were seen to have messages again that
  /// had been removed, to differ from the others of their cluster from then on, and to lose what was acknowledged.
  func create(on link: NATSLink) throws(StoreError) {
    let known = try ask("CREATE", streams, on: link) { $0.errCode == NATSErrorCode.streamNameInUse }
    _ = try ask("UPDATE", known, on: link) { _ in false }
  }

  /// Asks for each stream, and returns those where the answer is a failure that is expected; throws any other.
  private func ask(
    _ verb: String, _ streams: [NATSStreamConfiguration], on link: NATSLink,
    isExpected: (NATSAnswer.Failure) -> Bool
  ) throws(StoreError) -> [NATSStreamConfiguration] {
    let requests = streams.map { NATSRequest(api: "STREAM.\(verb).\($0.name)", $0) }
    var expected: [NATSStreamConfiguration] = []
    for ((stream, request), message) in zip(zip(streams, requests), try link.exchange(requests)) {
      let answer = try link.parse(message, of: request)
      guard let failure = answer.error else {
        guard answer.config?.metadata?["pangate"] != nil else {
          throw StoreError(
            .outdated, detail: "NATS 2.10 or newer is needed: older servers lose messages when they are killed")
        }
        continue
      }
      guard isExpected(failure) else { throw failure.storeError(request.subject) }
      expected.append(stream)
    }
    return expected
  }
}
