/// Hands something over to one other thread for good: whoever makes it does not touch it any more.
struct UncheckedTransfer<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
