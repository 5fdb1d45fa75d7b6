{{ config(severity='warn', tags=['money'], error_if='>10') }}
{# Totals come from the till. #}
select customer_id, sum(total) as total
from {{ ref('orders') }}
join {{ source('shop', 'people') }} as people on people.id = customer_id
group by 1
having sum(total) < 0;
