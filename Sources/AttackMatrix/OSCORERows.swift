// OSCORE on the radio, to the gateway or through it.
extension AttackMatrix {
  static let later = Expectation.notApplicable("this path is not there yet")

  static func vouchedUp(_ protection: Protection, _ attack: Attack) -> Expectation { later }
  static func vouchedDown(_ protection: Protection, _ attack: Attack) -> Expectation { later }
  static func endToEndUp(_ protection: Protection, _ attack: Attack) -> Expectation { later }
  static func endToEndDown(_ protection: Protection, _ attack: Attack) -> Expectation { later }
}
