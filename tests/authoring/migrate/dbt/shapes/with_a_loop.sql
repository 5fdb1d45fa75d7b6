{% for name in ['a', 'b'] %}select '{{ name }}' as id{% if not loop.last %} union all {% endif %}{% endfor %}
