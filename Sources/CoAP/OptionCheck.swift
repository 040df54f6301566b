import Wire

extension CoAPOptions {
  /// What an endpoint understands of these options, given those it knows (RFC 7252, 5.4.1 to 5.4.5).
  ///
  /// An elective option is left out if it is not in `recognized`, its length is not one it may have, it occurs once more
  /// than it may, or it is to be text and is not UTF-8. A critical one throws for the same: ``DropReason/coapOptionLengthInvalid``
  /// for the length, ``DropReason/coapOptionUnknownCritical`` for the rest. A critical block option of the reserved size is
  /// not looked at here.
  public func recognized(
    _ recognized: Set<CoAPOptionNumber>
  ) throws(OptionRefusal) -> CoAPOptions {
    var kept = CoAPOptions()
    var previous: CoAPOptionNumber?
    for option in self {
      let repeated = option.number == previous
      previous = option.number
      var problem: DropReason?
      if recognized.contains(option.number) {
        if let definition = option.number.definition {
          if !definition.lengths.contains(option.value.count) {
            problem = .coapOptionLengthInvalid
          } else if repeated && !definition.isRepeatable
            || definition.format == .string && String(validating: option.value, as: UTF8.self) == nil
          {
            problem = .coapOptionUnknownCritical
          }
        }
      } else {
        problem = .coapOptionUnknownCritical
      }
      guard let problem else {
        kept.append(option)
        continue
      }
      if option.number.isCritical { throw OptionRefusal(reason: problem, number: option.number) }
    }
    return kept
  }
}

/// A critical option that makes a message unacceptable.
public struct OptionRefusal: Error, Hashable, Sendable {
  public var reason: DropReason
  public var number: CoAPOptionNumber

  public init(reason: DropReason, number: CoAPOptionNumber) {
    self.reason = reason
    self.number = number
  }
}
